// Models and training checkpoints in the container of src/model/container.h.
//
// Header of a model:
//   "format"        "lfm-model", or "lfm-checkpoint" where training state follows
//   "architecture"  {"pooling": "topk" | "average", "k": 16}, and "trunk": "snet" | "resnet" and "head": "linear" |
//                   "softmax", which may be missing where they are the first
//   "residual"      "npr-nearest-2": the front end, by its word in front_end.h
//   "input"         {"view": "resize" | "native" | "center" | "tiles", "size": 256, "mean": [3], "std": [3]}:
//                   ImageNet's, or 0 and 1
//   "threshold"     score above which an image is called fake, 0 … 1
//   "calibration"   {"temperature": > 0, "bias"}: score = sigmoid(logit / temperature + bias)
//   "thresholds"    may be missing: {"view", "reals", "kinds", "fakes", "generators", "conditions": ["none", …],
//                   "rows": [{"rate", "threshold", "false_alarms", "worst": {"name", "called", "of"}, "worst_unseen":
//                   the same, or null, "recall", "recall_low", "recall_high"}]}, as ThresholdTable in
//                   include/lfm/model.h
//   "name", "provenance"  for people: a string, an object
//   "training"      checkpoints only: an object of the trainer's
// A model of several members has the format "lfm-members", "combination": "first-fake" | "mean" | "max", and "members":
// [headers of models as above], instead of an architecture, residual and input size; what is fitted ("threshold",
// "calibration", "thresholds") is to the members' joint logit (src/model/combination.h). The tensors of member N,
// counted from 1, have names that begin with "memberN.".
//
// Its tensors are those of parameter_table(), FP32, names, order and shapes as there. A checkpoint has further ones,
// whose names begin with "training.".
//
// load_model and save_model: include/lfm/model.h. load_model reads checkpoints too, and leaves their training state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lfm/model.h"
#include "src/model/container.h"

namespace lfm {

/// What tensor names of training state begin with.
inline constexpr std::string_view kTrainingPrefix = "training.";

/// Writes model and training state atomically. Names of `tensors` begin with kTrainingPrefix. Throws Error{output}.
void save_checkpoint(const Model& model, const nlohmann::json& training, std::span<const Tensor> tensors,
                     const std::filesystem::path& path);

/// A checkpoint opened for resuming. Tensors are views into its file.
struct Checkpoint {
  Container file;
  Model model;
  std::filesystem::path path;  ///< for messages

  const nlohmann::json& training() const;
  /// Throws Error{model} where there is none of that name, element type and size.
  std::span<const std::byte> tensor(std::string_view name, ElementType type, std::uint64_t count) const;
};

/// Throws Error{model}, also where the file is a model without training state.
Checkpoint load_checkpoint(const std::filesystem::path& path);
Checkpoint load_checkpoint(Container file, const std::filesystem::path& path);

/// The model in an opened container. Throws Error{model} naming `path`.
Model read_model(const Container& file, const std::filesystem::path& path);

/// Throws Error{model} naming `source` unless the values are as many as the table wants, finite, and no variance is
/// negative; and threshold, calibration, provenance and k make sense. What both readers and writers demand of a model.
void check_model(const Model& model, const std::string& source);

/// The header of a model, and a model without values from one: throws Error{model} naming `source`.
nlohmann::json model_header(const Model& model);
Model model_from_header(std::string_view json, const std::string& source);

/// For people: "the 16 largest of each map".
std::string pooling_text(const Architecture& architecture);

/// As the header names it.
std::string_view view_name(View view);

}  // namespace lfm
