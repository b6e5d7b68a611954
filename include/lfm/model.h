// A model: architecture, parameters, and what is known about them. Reading and writing the weight file (.lfmw).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lfm {

/// What turns pixels into the maps that the trunk convolves (src/model/front_end.h).
enum class FrontEnd {
  npr,         ///< absolute differences to the top-left pixel of each 2x2 cell (paper, section 3.1)
  npr_signed,  ///< the same with their signs, times 2/3: what NPR's own network sees
  haar_hh,  ///< the diagonal band of one level of a Haar wavelet, enlarged to the picture's size: what SAFE's network sees
  none,     ///< the pixels, normalised
};

/// The convolutions (src/model/stages.h).
enum class Trunk {
  snet,    ///< four blocks and a 1x1 (paper, section 3.2)
  resnet,  ///< ResNet-50 up to its second stage: NPR's and SAFE's
};

enum class Pooling {
  topk,     ///< per channel, the k largest activations, descending (paper, section 3.3)
  average,  ///< global average: the paper's ablation baseline
};

/// From pooled values to the logit.
enum class Head {
  linear,   ///< one output
  softmax,  ///< two, of which the second stands for fake: the logit is their difference
};

/// Of pixels, before the front end.
enum class Normalisation {
  imagenet,  ///< (x/255 - mean)/std, by the channel
  unit,      ///< x/255
};

/// What varies between models of this family; everything else is fixed by the paper.
struct Architecture {
  Pooling pooling = Pooling::topk;
  int k = 16;  ///< values kept per channel; 1 for Pooling::average
  FrontEnd front_end = FrontEnd::npr;
  Trunk trunk = Trunk::snet;
  Head head = Head::linear;
  Normalisation normalisation = Normalisation::imagenet;
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

/// How many pictures of one kind of real, delivered one way, were called fake.
struct WorstKind {
  std::string name;
  std::size_t called = 0;
  std::size_t of = 0;  ///< 0: there is no such kind
};

/// What a threshold amounts to on held-out pictures. Shares are 0 … 1.
struct ThresholdRow {
  double rate = 0;          ///< what it was fitted for: false alarms in every kind of real at most
  float threshold = 0;      ///< score above which an image is called fake
  double false_alarms = 0;  ///< measured, mean over the kinds
  WorstKind worst;
  WorstKind worst_unseen;                  ///< where the threshold is fitted on the other kinds alone
  double recall = 0;                       ///< share of the fakes called fake, mean over the generators
  double recall_low = 0, recall_high = 0;  ///< 95 %, resampling the generators
};

/// Thresholds by false alarms; without rows, none were fitted.
struct ThresholdTable {
  View view = View::resize;                                     ///< that it holds for
  std::size_t reals = 0, kinds = 0, fakes = 0, generators = 0;  ///< pictures and their sources
  std::vector<std::string> conditions;                          ///< how they were delivered: "none", "jpeg:75", …
  std::vector<ThresholdRow> rows;
};

/// How several members' answers become one (src/model/combination.h).
enum class Combination {
  first_fake,  ///< the first that calls a picture fake by its own threshold decides, else the last
  mean,        ///< the mean of how far each is above its own threshold, in log-odds
  max,         ///< the one furthest above its own threshold decides
};

/// How many members a model may have.
inline constexpr std::size_t kMostMembers = 8;

struct Model {
  Architecture architecture;
  /// Every parameter and batch-norm statistic, FP32, laid out by parameter_table(architecture).
  std::vector<float> values;
  View view = View::resize;  ///< the view the weights were trained for
  float threshold = 0.5f;    ///< score above which an image is called fake
  Calibration calibration;
  ThresholdTable thresholds;      ///< other thresholds, for scores of this calibration
  std::string name;               ///< for people, e.g. "reference"
  std::string provenance = "{}";  ///< JSON object: data, seeds, commands, licence
  /// None, or 2 to kMostMembers networks, each with its architecture, values, calibration and threshold, and no members
  /// of its own. Then the model has no values, its architecture means nothing, and its logit is what `combination`
  /// makes of theirs; all see pictures by its view.
  std::vector<Model> members;
  Combination combination = Combination::first_fake;
};

/// A model whose members these are, or whose members' these are; calibration and threshold are to be fitted. Throws
/// Error{usage} where they are too many or too few.
Model join_models(std::vector<Model> models, Combination combination = Combination::first_fake);

/// Reads a .lfmw file: memory-mapped, checked against its checksum. Throws Error{model}.
Model load_model(const std::filesystem::path& path);

/// Writes a .lfmw file atomically: temporary file, fsync, rename. Throws Error{output}.
void save_model(const Model& model, const std::filesystem::path& path);

}  // namespace lfm
