// ResNet-50 up to its second stage (He et al. 2015), with a stem of 3x3: the trunk of NPR's and SAFE's networks. The
// tables of its bottlenecks and of its convolutions, which have no bias and are followed by a batch norm each.
//
//   stem        conv 3x3 by 2, batch norm, ReLU, max-pool 3x3 by 2 (padding 1)
//   bottleneck  y = ReLU(norm(1x1(ReLU(norm(3x3(ReLU(norm(1x1(x)))))))) + shortcut),
//   shortcut = x, or norm(1x1(x)) where the shape changes
#pragma once

#include <array>
#include <cstddef>

#include "src/model/map_size.h"

namespace lfm {

inline constexpr int kStemChannels = 64;

struct Bottleneck {
  const char* name;  ///< torchvision's
  int in, middle;    ///< channels
  int stride;        ///< of the 3x3 and of the shortcut
  constexpr int out() const { return 4 * middle; }
  constexpr bool projects() const { return stride != 1 || in != out(); }  ///< its shortcut is a convolution too
};

inline constexpr std::array<Bottleneck, 7> kBottlenecks = {{{"layer1.0", kStemChannels, 64, 1},
                                                            {"layer1.1", 256, 64, 1},
                                                            {"layer1.2", 256, 64, 1},
                                                            {"layer2.0", 256, 128, 2},
                                                            {"layer2.1", 512, 128, 1},
                                                            {"layer2.2", 512, 128, 1},
                                                            {"layer2.3", 512, 128, 1}}};
inline constexpr int kResnetMapChannels = kBottlenecks.back().out();
inline constexpr int kLayer1End = 3;  ///< bottlenecks of layer1

constexpr int convolution_count(const Bottleneck& b) { return b.projects() ? 4 : 3; }

/// A convolution k x k with padding (k - 1)/2, and its batch norm.
struct TrunkConvolution {
  int bottleneck;                ///< -1: the stem
  const char *name, *norm_name;  ///< within its bottleneck
  int ic, oc, kernel, stride;

  /// Of a side of its output.
  constexpr int out(int side) const { return (side - 1) / stride + 1; }
  constexpr MapSize out(const MapSize& in) const { return {out(in.h), out(in.w)}; }
};

/// A bottleneck's convolutions by their place in the table.
enum BottleneckPart : int { kReduce, kSpatial, kExpand, kShortcut };

constexpr int trunk_convolution_count() {
  int count = 1;
  for (const Bottleneck& b : kBottlenecks) count += convolution_count(b);
  return count;
}

/// The stem's, then each bottleneck's.
inline constexpr auto kTrunkConvolutions = [] {
  std::array<TrunkConvolution, trunk_convolution_count()> table{};
  table[0] = {-1, "conv1", "bn1", 3, kStemChannels, 3, 2};
  std::size_t row = 1;
  for (std::size_t i = 0; i < kBottlenecks.size(); ++i) {
    const Bottleneck& b = kBottlenecks[i];
    const int at = static_cast<int>(i);
    table[row++] = {at, "conv1", "bn1", b.in, b.middle, 1, 1};
    table[row++] = {at, "conv2", "bn2", b.middle, b.middle, 3, b.stride};
    table[row++] = {at, "conv3", "bn3", b.middle, b.out(), 1, 1};
    if (b.projects()) table[row++] = {at, "downsample.0", "downsample.1", b.in, b.out(), 1, b.stride};
  }
  return table;
}();

/// Where a bottleneck's convolutions begin in the table.
constexpr int first_convolution(int bottleneck) {
  int row = 1;
  for (int b = 0; b < bottleneck; ++b) row += convolution_count(kBottlenecks[static_cast<std::size_t>(b)]);
  return row;
}

/// The max-pool of the stem: windows of 3x3, two apart, padding 1.
constexpr int stem_pooled(int side) { return (side - 1) / 2 + 1; }

/// Parameters that each convolution trains, in this order.
enum TrunkParameter : int { kTrunkWeight, kTrunkScale, kTrunkShift, kTrunkParameters };

}  // namespace lfm
