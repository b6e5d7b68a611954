// The network's constants, its shapes at a given image size, and the one table of its parameters.
// The plan of every engine, the weight file, initialisation and the tests read these; nothing repeats them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lfm/model.h"

namespace lfm {

// SNet (paper, section 3.2): four blocks of conv 2x2 (stride 1, no padding, bias) -> batch norm -> ReLU, max-pool 2x2/2
// after the first three, then a 1x1 convolution without bias to the maps that are pooled.
inline constexpr int kBlocks = 4;
inline constexpr std::array<int, kBlocks + 1> kChannels = {3, 64, 128, 256, 512};
inline constexpr int kMapChannels = 64;
inline constexpr float kBatchNormEps = 1e-5f;
inline constexpr float kBatchNormMomentum = 0.1f;
inline constexpr int kMinImageSide = 48;
inline constexpr int kMaxTopK = 1024;  ///< the largest k a model may have; the 256 x 256 protocol's maps have 900 positions

// x = (pixel/255 - mean)/std. The mean cancels in the residual.
inline constexpr std::array<double, 3> kPixelMean = {0.485, 0.456, 0.406};
inline constexpr std::array<double, 3> kPixelStd = {0.229, 0.224, 0.225};

struct MapSize {
  int h = 0;
  int w = 0;
  constexpr int area() const { return h * w; }
  bool operator==(const MapSize&) const = default;
};

/// Sizes of every map for one image size. Blocks are counted from 0; block b pools unless it is the last.
struct NetworkShape {
  MapSize input;                      ///< even: an odd last row or column of the image is dropped
  std::array<MapSize, kBlocks> conv;  ///< after the convolution of each block
  std::array<MapSize, kBlocks> out;   ///< after its pooling; out[3] == conv[3] is the size of the maps
  const MapSize& maps() const { return out[kBlocks - 1]; }
};

/// Throws Error{input} if the image is smaller than 48 x 48 or its maps have fewer than k positions.
NetworkShape network_shape(const Architecture& architecture, int height, int width);

/// Values per channel that reach the head, and in all.
constexpr int values_per_channel(const Architecture& a) { return a.pooling == Pooling::topk ? a.k : 1; }
constexpr int feature_count(const Architecture& a) { return kMapChannels * values_per_channel(a); }

/// Multiply-adds of one image, per layer: the four convolutions, the 1x1, the head (as a direct convolution counts them).
std::array<std::int64_t, kBlocks + 2> multiply_adds(const Architecture& architecture, int height, int width);

// ---- parameters ----

/// Index into the table; the order is the order in memory. Trainable parameters come first, so the optimizer and the
/// gradient arena see one pointer and a count; batch-norm statistics follow.
enum ParameterId : int {
  kConvWeight = 0,  ///< + 4*block   [oc][ic][2][2]
  kConvBias = 1,    ///< + 4*block   [oc]
  kNormScale = 2,   ///< + 4*block   [oc]
  kNormShift = 3,   ///< + 4*block   [oc]
  kProjection = 16,  ///< [64][512][1][1]
  kHeadWeight = 17,  ///< [1][features]
  kHeadBias = 18,    ///< [1]
  kTrainable = 19,
  kRunningMean = 19,  ///< + 2*block   [oc]
  kRunningVar = 20,   ///< + 2*block   [oc]
  kParameters = 27,
};
constexpr int conv_weight(int block) { return kConvWeight + 4 * block; }
constexpr int conv_bias(int block) { return kConvBias + 4 * block; }
constexpr int norm_scale(int block) { return kNormScale + 4 * block; }
constexpr int norm_shift(int block) { return kNormShift + 4 * block; }
constexpr int running_mean(int block) { return kRunningMean + 2 * block; }
constexpr int running_var(int block) { return kRunningVar + 2 * block; }

struct ParameterSpec {
  const char* name;            ///< in .lfmw files
  const char* reference_name;  ///< in the reference's state dict (docs/METHOD.md, section 8)
  std::array<int, 4> shape;
  int rank;
  int fan_in;          ///< of the layer it belongs to; 0 where PyTorch's initialisation has none (batch norm)
  std::size_t offset;  ///< in floats from the start; 64-byte aligned
  constexpr std::size_t count() const {
    std::size_t n = 1;
    for (int i = 0; i < rank; ++i) n *= static_cast<std::size_t>(shape[i]);
    return n;
  }
};

struct ParameterTable {
  std::array<ParameterSpec, kParameters> specs;
  std::size_t trainable_floats;  ///< floats of the trainable part, padding included
  std::size_t total_floats;      ///< all of it
  constexpr const ParameterSpec& operator[](int id) const { return specs[static_cast<std::size_t>(id)]; }
};

constexpr ParameterTable parameter_table(const Architecture& architecture) {
  struct Names {
    const char* ours[6];
    const char* reference[6];
  };
  constexpr Names names[kBlocks] = {
      {{"block1.conv.weight", "block1.conv.bias", "block1.norm.scale", "block1.norm.shift",
        "block1.norm.running_mean", "block1.norm.running_var"},
       {"cnn.layer1.0.weight", "cnn.layer1.0.bias", "cnn.layer1.1.weight", "cnn.layer1.1.bias",
        "cnn.layer1.1.running_mean", "cnn.layer1.1.running_var"}},
      {{"block2.conv.weight", "block2.conv.bias", "block2.norm.scale", "block2.norm.shift",
        "block2.norm.running_mean", "block2.norm.running_var"},
       {"cnn.layer2.0.weight", "cnn.layer2.0.bias", "cnn.layer2.1.weight", "cnn.layer2.1.bias",
        "cnn.layer2.1.running_mean", "cnn.layer2.1.running_var"}},
      {{"block3.conv.weight", "block3.conv.bias", "block3.norm.scale", "block3.norm.shift",
        "block3.norm.running_mean", "block3.norm.running_var"},
       {"cnn.layer3.0.weight", "cnn.layer3.0.bias", "cnn.layer3.1.weight", "cnn.layer3.1.bias",
        "cnn.layer3.1.running_mean", "cnn.layer3.1.running_var"}},
      {{"block4.conv.weight", "block4.conv.bias", "block4.norm.scale", "block4.norm.shift",
        "block4.norm.running_mean", "block4.norm.running_var"},
       {"cnn.layer4.0.weight", "cnn.layer4.0.bias", "cnn.layer4.1.weight", "cnn.layer4.1.bias",
        "cnn.layer4.1.running_mean", "cnn.layer4.1.running_var"}},
  };
  ParameterTable table{};
  const auto set = [&](int id, const char* name, const char* reference, std::array<int, 4> shape, int rank, int fan_in) {
    table.specs[static_cast<std::size_t>(id)] = {name, reference, shape, rank, fan_in, 0};
  };
  for (int b = 0; b < kBlocks; ++b) {
    const int ic = kChannels[b], oc = kChannels[b + 1];
    const auto& n = names[b];
    set(conv_weight(b), n.ours[0], n.reference[0], {oc, ic, 2, 2}, 4, 4 * ic);
    set(conv_bias(b), n.ours[1], n.reference[1], {oc}, 1, 4 * ic);
    set(norm_scale(b), n.ours[2], n.reference[2], {oc}, 1, 0);
    set(norm_shift(b), n.ours[3], n.reference[3], {oc}, 1, 0);
    set(running_mean(b), n.ours[4], n.reference[4], {oc}, 1, 0);
    set(running_var(b), n.ours[5], n.reference[5], {oc}, 1, 0);
  }
  const int features = feature_count(architecture);
  set(kProjection, "projection.weight", "covn1_1.weight", {kMapChannels, kChannels[kBlocks], 1, 1}, 4, kChannels[kBlocks]);
  set(kHeadWeight, "head.weight", "fc1.weight", {1, features}, 2, features);
  set(kHeadBias, "head.bias", "fc1.bias", {1}, 1, features);

  constexpr std::size_t alignment = 16;  // floats: 64 bytes
  std::size_t offset = 0;
  for (int id = 0; id < kParameters; ++id) {
    if (id == kTrainable) table.trainable_floats = offset;
    auto& spec = table.specs[static_cast<std::size_t>(id)];
    spec.offset = offset;
    offset += (spec.count() + alignment - 1) / alignment * alignment;
  }
  table.total_floats = offset;
  return table;
}

/// A parameter's values inside a flat array laid out by the table.
template <typename T>
std::span<T> parameter(std::span<T> values, const ParameterTable& table, int id) {
  return values.subspan(table[id].offset, table[id].count());
}

}  // namespace lfm
