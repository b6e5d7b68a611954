// A model: architecture, parameters, and what is known about them. Reading and writing the weight file (.lfmw).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lfm {

enum class Pooling {
  topk,     ///< per channel, the k largest activations, descending (paper, section 3.3)
  average,  ///< global average: the paper's ablation baseline
};

/// What varies between models of this family; everything else is fixed by the paper (src/model/architecture.h).
struct Architecture {
  Pooling pooling = Pooling::topk;
  int k = 16;  ///< values kept per channel; 1 for Pooling::average
  bool operator==(const Architecture&) const = default;
};

/// How an image becomes the network's input.
enum class View {
  resize,  ///< 256 x 256, aspect ratio not kept: the paper's protocol
  native,  ///< as it is, at least 48 x 48
  center,  ///< the central 256 x 256 pixels, not resized
  tiles,   ///< 256 x 256 windows that cover the picture, not resized; its logit is the mean of theirs
};

/// score = sigmoid(logit / temperature + bias); fitted on held-out data. Identity for uncalibrated weights.
struct Calibration {
  float temperature = 1.0f;
  float bias = 0.0f;
};

struct Model {
  Architecture architecture;
  /// Every parameter and batch-norm statistic, FP32, laid out by parameter_table(architecture).
  std::vector<float> values;
  View view = View::resize;     ///< the view the weights were trained for
  float threshold = 0.5f;       ///< score above which an image is called fake
  Calibration calibration;
  std::string name;             ///< for people, e.g. "reference"
  std::string provenance = "{}";  ///< JSON object: data, seeds, commands, licence
};

/// Reads a .lfmw file: memory-mapped, checked against its checksum. Throws Error{model}.
Model load_model(const std::filesystem::path& path);

/// Writes a .lfmw file atomically: temporary file, fsync, rename. Throws Error{output}.
void save_model(const Model& model, const std::filesystem::path& path);

}  // namespace lfm
