// A model as an ONNX file, for ONNX Runtime, OpenVINO and whatever else runs networks.
//
// Opset 17. Input "pixels", uint8 [batch][height][width][3], RGB as decoded, of any batch and any size the network
// takes: the whole network is in the file, residual and top-k pooling included. Output "logits", float [batch]. Batch
// norm is folded into the convolutions, and 1/(255 std) into the first, as the engines do. What becomes of a logit
// (calibration, threshold) and how a picture is shown to the network (view) stands in the file's metadata, under "lfm",
// as in a .lfmw file's header.
#pragma once

#include <filesystem>

#include "lfm/model.h"

namespace lfm {

/// Of one network, whatever its parts. Throws Error{output}.
void export_onnx(const Model& model, const std::filesystem::path& path);

}  // namespace lfm
