// The network's constants, its shapes at a given image size, and the one table of its parameters.
// The plan of every engine, the weight file, initialisation and the tests read these; nothing repeats them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "src/model/stages.h"

namespace lfm {

inline constexpr float kBatchNormEps = 1e-5f;
inline constexpr float kBatchNormMomentum = 0.1f;
inline constexpr int kMinImageSide = 48;
inline constexpr int kMaxTopK =
    1024;  ///< the largest k a model may have; the 256 x 256 protocol's maps have 900 positions

// x = (pixel/255 - mean)/std. The mean cancels in residuals that are differences.
inline constexpr std::array<double, 3> kPixelMean = {0.485, 0.456, 0.406};
inline constexpr std::array<double, 3> kPixelStd = {0.229, 0.224, 0.225};

/// Sizes of SNet's maps for one image size. Blocks are counted from 0; block b pools unless it is the last.
struct NetworkShape {
  MapSize input;                      ///< of the residual: the image's, less what the front end drops
  std::array<MapSize, kBlocks> conv;  ///< after the convolution of each block
  std::array<MapSize, kBlocks> out;   ///< after its pooling; out[3] == conv[3] is the size of the maps
  const MapSize& maps() const { return out[kBlocks - 1]; }
};

/// Throw Error{input} if the image is smaller than 48 x 48; if its maps have fewer than k positions.
void check_image_size(int height, int width);
void check_positions(const Architecture& architecture, int height, int width, const MapSize& maps);

/// Of an architecture with SNet. Throws Error{input} if the image is smaller than 48 x 48 or its maps have fewer than k
/// positions.
NetworkShape network_shape(const Architecture& architecture, int height, int width);

/// Of the maps that are pooled, whatever the trunk. Throws as network_shape() does.
MapSize map_size(const Architecture& architecture, int height, int width);

/// Maps that are pooled; values per channel that reach the head, and in all; the head's outputs.
constexpr int map_channels(const Architecture& a) {
  return a.trunk == Trunk::resnet ? kResnetMapChannels : kMapChannels;
}
constexpr int values_per_channel(const Architecture& a) { return a.pooling == Pooling::topk ? a.k : 1; }
constexpr int feature_count(const Architecture& a) { return map_channels(a) * values_per_channel(a); }
constexpr int output_count(const Architecture& a) { return a.head == Head::softmax ? 2 : 1; }

/// NPR's network and SAFE's, as their authors publish them.
inline constexpr Architecture kNprNetwork = {
    Pooling::average, 1, FrontEnd::npr_signed, Trunk::resnet, Head::linear, Normalisation::imagenet};
inline constexpr Architecture kSafeNetwork = {Pooling::average,   1, FrontEnd::haar_hh, Trunk::resnet, Head::softmax,
                                              Normalisation::unit};

/// Parts that go together in no network: what is wrong with them, and what `train` is told to ask for instead. Of an
/// architecture that can be, null.
struct Contradiction {
  bool (*holds)(const Architecture&);
  const char* what;  ///< "it has ..."
  const char* remedy;
};
const Contradiction* contradiction(const Architecture& architecture);

// ---- parameters ----

/// Index into SNet's table; the order is the order in memory. Trainable parameters come first, as the stages are
/// numbered (stages.h), so the optimizer and the gradient arena see one pointer and a count; batch-norm statistics
/// follow, two a block.
enum ParameterId : int {
  kProjection = stage_of(StageKind::projection).parameters.first,      ///< [64][512][1][1]
  kHeadWeight = stage_of(StageKind::head).parameters.first + kWeight,  ///< [1][features]
  kHeadBias = stage_of(StageKind::head).parameters.first + kBias,      ///< [1]
  kTrainable = kStages.back().parameters.first + kStages.back().parameters.count,
  kParameters = kTrainable + 2 * kBlocks,
};
constexpr int conv_weight(int block) { return block_stage(block).parameters.first + kConvWeight; }  ///< [oc][ic][2][2]
constexpr int conv_bias(int block) { return block_stage(block).parameters.first + kConvBias; }      ///< [oc]
constexpr int norm_scale(int block) { return block_stage(block).parameters.first + kNormScale; }    ///< [oc]
constexpr int norm_shift(int block) { return block_stage(block).parameters.first + kNormShift; }    ///< [oc]
constexpr int running_mean(int block) { return kTrainable + 2 * block; }                            ///< [oc]
constexpr int running_var(int block) { return kTrainable + 2 * block + 1; }                         ///< [oc]

// Of the ResNet trunk, by the row of kTrunkConvolutions; the head follows them, and the statistics follow it.
inline constexpr int kResnetTrainable = kResnetStages.back().parameters.first + kResnetStages.back().parameters.count;
/// [oc][ic][kernel][kernel]; the others are [oc].
constexpr int trunk_weight(int convolution) { return kTrunkParameters * convolution + kTrunkWeight; }
constexpr int trunk_scale(int convolution) { return kTrunkParameters * convolution + kTrunkScale; }
constexpr int trunk_shift(int convolution) { return kTrunkParameters * convolution + kTrunkShift; }
constexpr int trunk_mean(int convolution) { return kResnetTrainable + 2 * convolution; }
constexpr int trunk_variance(int convolution) { return kResnetTrainable + 2 * convolution + 1; }

struct ParameterSpec {
  std::string name;            ///< in .lfmw files
  std::string reference_name;  ///< in the reference's state dict
  std::array<int, 4> shape{};
  int rank = 0;
  int fan_in = 0;     ///< of the layer it belongs to; 0 where PyTorch's initialisation has none (batch norm)
  float initial = 0;  ///< of batch norm: what PyTorch begins with
  bool is_variance = false;
  std::size_t offset = 0;  ///< in floats from the start; 64-byte aligned
  std::size_t count() const {
    std::size_t n = 1;
    for (int i = 0; i < rank; ++i) n *= static_cast<std::size_t>(shape[i]);
    return n;
  }
};

struct ParameterTable {
  std::vector<ParameterSpec> specs;
  int trainable = 0;                 ///< parameters; the head's are the last of them
  std::size_t trainable_floats = 0;  ///< floats of the trainable part, padding included
  std::size_t total_floats = 0;      ///< all of it
  const ParameterSpec& operator[](int id) const { return specs[static_cast<std::size_t>(id)]; }
  int size() const { return static_cast<int>(specs.size()); }
  int head_weight() const { return trainable - kHeadParameters + kWeight; }  ///< [outputs][features]
  int head_bias() const { return trainable - kHeadParameters + kBias; }      ///< [outputs]
};

ParameterTable parameter_table(const Architecture& architecture);

/// A parameter's values inside a flat array laid out by the table.
template <typename T>
std::span<T> parameter(std::span<T> values, const ParameterTable& table, int id) {
  return values.subspan(table[id].offset, table[id].count());
}

/// The head as one output: a softmax's is the difference of its two, whose rows a model keeps.
struct LinearHead {
  std::vector<double> weight;  ///< [features]
  double bias = 0;
};
LinearHead linear_head(const Architecture& architecture, std::span<const float> values);

}  // namespace lfm
