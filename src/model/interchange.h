// Models from and to other programs: the reference's state dict in safetensors and PyTorch files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "lfm/model.h"
#include "src/model/tensor.h"

namespace lfm {

enum class ModelFormat { lfmw, safetensors, pytorch };

/// "lfmw", "safetensors", "PyTorch"
const char* model_format_name(ModelFormat format);

/// Told by the file's first bytes. Throws Error{model} where they are none of these.
ModelFormat detect_model_format(const std::filesystem::path& path);
ModelFormat detect_model_format(std::span<const std::byte> bytes, const std::string& name);

/// What stands before the names of the state dict that is meant, where a file holds several ("model_ema."); its last
/// dot may be left out.
using StateDictPrefix = std::optional<std::string>;

/// Reads a model in any of the formats, told apart by content; no code in the file is run. Throws Error{model};
/// Error{usage} for a prefix with an .lfmw, which holds one model.
Model import_model(const std::filesystem::path& path, const StateDictPrefix& prefix = {});
/// The same of a file in memory; `path` stands for it in errors and in the model's provenance.
Model import_model(std::span<const std::byte> bytes, const std::filesystem::path& path,
                   const StateDictPrefix& prefix = {});

/// Throws Error{usage} for an extension that export_model does not write.
void require_export_format(const std::filesystem::path& path);

/// Writes .lfmw, .safetensors or .onnx (onnx.h), told by the extension. A safetensors file has the reference's names,
/// its fixed convolutions and batch counters, so that the reference loads it strictly; threshold, calibration, view and
/// provenance go into its metadata. Throws Error{output}, or Error{usage} for another extension, or, in another file
/// than an .lfmw, for a model of several members or of another residual than the published network's.
void export_model(const Model& model, const std::filesystem::path& path);

/// The model in a state dict of the reference (docs/METHOD.md, section 8), of NPR's network or of SAFE's (section 9),
/// which are told by names and by the shape of fc1.weight. What stands before "fc1.weight" ("module.", "model.", …)
/// is a prefix of every name; other tensors without it are left alone. Of several, the given one is taken, else the
/// only one that lacks no parameter. k follows from the shape of fc1.weight. The fixed convolutions of the residual may
/// be missing, but must not be others. Throws Error{model} naming `source` and listing the prefixes found, or every
/// missing, unexpected and mis-shaped tensor.
Model model_from_state_dict(std::span<const Tensor> tensors, const std::string& source,
                            const StateDictPrefix& prefix = {});

}  // namespace lfm
