// The table of cases that tests and benchmarks of every engine and kernel draw from. For tests the sizes are small, odd
// and around the edges of tiles; for benchmarks those of the network at 256x256 and 224x224.
#pragma once

#include <fmt/core.h>

#include <array>
#include <string>

#include "src/model/architecture.h"

namespace lfm::cases {

/// A 2x2 convolution, or any stage of a block: x [n][ic][h][w].
struct ConvCase {
  int n, ic, oc, h, w;
};
inline constexpr std::array<ConvCase, 8> kConvTests = {{
    {1, 1, 1, 2, 2},      // one output
    {1, 3, 64, 5, 4},     // the first block's channels
    {2, 3, 5, 7, 9},      // nothing is a power of two
    {1, 64, 128, 9, 9},   // the second block's channels
    {3, 17, 33, 6, 11},   // one past 16 and 32
    {1, 31, 15, 17, 3},   // one short of 32 and 16, narrow
    {2, 8, 24, 3, 34},    // wide and flat
    {1, 128, 64, 4, 19},  // deep
}};

/// Top-k pooling: maps [n][c][h][w].
struct PoolCase {
  int n, c, h, w, k;
};
inline constexpr std::array<PoolCase, 7> kPoolTests = {{
    {1, 64, 4, 4, 16},  // every position is selected
    {2, 64, 6, 6, 16},
    {1, 5, 5, 7, 16},
    {3, 64, 3, 11, 1},    // the maximum alone
    {1, 64, 9, 4, 7},     // k no power of two
    {1, 64, 8, 8, 32},    // a full warp of values
    {1, 64, 26, 26, 16},  // 224x224
}};

/// The whole network.
struct NetworkCase {
  int n, h, w;
};
inline constexpr std::array<NetworkCase, 5> kNetworkTests = {{
    {1, 48, 48},  // the smallest image
    {3, 49, 63},  // odd: a row and a column are dropped
    {2, 64, 50},
    {1, 97, 56},
    {5, 48, 52},
}};

/// Layer shapes of the network on side x side images, for benchmarks.
inline std::array<ConvCase, kBlocks> network_convolutions(int n, int side) {
  const NetworkShape shape = network_shape({}, side, side);
  std::array<ConvCase, kBlocks> layers{};
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize in = b == 0 ? shape.input : shape.out[b - 1];
    layers[b] = {n, kChannels[b], kChannels[b + 1], in.h, in.w};
  }
  return layers;
}

inline std::string to_string(const ConvCase& c) {
  return fmt::format("n{}_ic{}_oc{}_{}x{}", c.n, c.ic, c.oc, c.h, c.w);
}
inline std::string to_string(const PoolCase& c) { return fmt::format("n{}_c{}_{}x{}_k{}", c.n, c.c, c.h, c.w, c.k); }
inline std::string to_string(const NetworkCase& c) { return fmt::format("n{}_{}x{}", c.n, c.h, c.w); }

}  // namespace lfm::cases
