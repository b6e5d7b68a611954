// Philox4x32-10, the counter-based random generator of everything that is drawn: on the host, in kernels, in the
// emulation.
//
// A draw is a pure function of (seed, step, image, stream, index), so it is the same on every engine, thread count and
// batch split, and a resumed run draws what the uninterrupted one would have drawn.
//   J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
// Layout:  key     = seed, low word then high word
//          counter = { step low, step high, image, index with stream in its bits 24 to 26 }
// where `index` counts blocks of four words. What step, image and index mean, per stream:
//
//   stream          step            image                    index
//   rbld            training step   index in global batch    block_of(channel, rank)           word rank % 4
//   rks             training step   index in global batch    block_of(channel, draw)           word draw % 4
//   initialisation  0               parameter id             element / 4                       word element % 4
//   shuffle         epoch           position                 which order (0: the images)       word 0
//   augmentation    epoch           place in the epoch       which draw (src/data/view.cpp)     any
#pragma once

#include <cstdint>

#include "src/machine/host_device.h"

namespace lfm {

/// What a draw is for; streams, eight at most, never share a number.
enum class Stream : std::uint32_t {
  rbld = 0,
  rks = 1,
  initialisation = 2,
  shuffle = 3,
  augmentation = 4,
  bootstrap = 5
};

struct PhiloxBlock {
  std::uint32_t word[4];
  /// word[i % 4], chosen without an address: in a kernel, an index that the compiler does not know would put the words
  /// in memory.
  LFM_HOST_DEVICE constexpr std::uint32_t at(int i) const {
    return (i & 2) != 0 ? ((i & 1) != 0 ? word[3] : word[2]) : ((i & 1) != 0 ? word[1] : word[0]);
  }
};

/// Ten rounds on `counter` under the 64-bit key (key0 is its low word).
LFM_HOST_DEVICE constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {
        {static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// The block of four words at `index` of a stream: bits 24 to 26 are zero.
LFM_HOST_DEVICE constexpr PhiloxBlock draw_block(std::uint64_t seed, std::uint64_t step, std::uint32_t image,
                                                 Stream stream, std::uint32_t index) {
  const PhiloxBlock counter = {{static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32), image,
                                static_cast<std::uint32_t>(stream) << 24 | index}};
  return philox4x32(counter, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

/// Uniform on [0, 1), a multiple of 2^-24: exact in FP32.
LFM_HOST_DEVICE constexpr float uniform01(std::uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// Uniform on {0, ..., n-1}; off by at most n / 2^32 from equal probabilities.
LFM_HOST_DEVICE constexpr std::uint32_t uniform_below(std::uint32_t word, std::uint32_t n) {
  return static_cast<std::uint32_t>(std::uint64_t{word} * n >> 32);
}

/// The index where the draws i (< 2^18) of a channel (< 2^13) lie, four a block.
LFM_HOST_DEVICE constexpr std::uint32_t block_of(int channel, int i) {
  const auto c = static_cast<std::uint32_t>(channel);
  return c >> 8 << 27 | (c & 0xFFu) << 16 | static_cast<std::uint32_t>(i) / 4;
}

/// The number that RBLD compares with p(rank): the value of that rank is dropped where it is smaller.
LFM_HOST_DEVICE constexpr float rbld_uniform(std::uint64_t seed, std::uint64_t step, std::uint32_t image, int channel,
                                             int rank) {
  return uniform01(draw_block(seed, step, image, Stream::rbld, block_of(channel, rank)).at(rank));
}

/// RKS: k different positions of a map with `area` positions (k <= area), uniform without replacement, into
/// positions[k]. R. Floyd's method: k draws, no table of the map. The order is not uniform; RKS sorts the values
/// anyway.
LFM_HOST_DEVICE constexpr void rks_positions(std::uint64_t seed, std::uint64_t step, std::uint32_t image, int channel,
                                             int area, int k, std::int32_t* positions) {
  PhiloxBlock block{};
  for (int draw = 0; draw < k; ++draw) {
    if (draw % 4 == 0) block = draw_block(seed, step, image, Stream::rks, block_of(channel, draw));
    const int last = area - k + draw;
    auto position = static_cast<std::int32_t>(uniform_below(block.at(draw), static_cast<std::uint32_t>(last) + 1));
    for (int i = 0; i < draw; ++i) {
      if (positions[i] == position) {
        position = last;
        break;
      }
    }
    positions[draw] = position;
  }
}

}  // namespace lfm
