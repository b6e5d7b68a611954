// Sums over positions, per channel, in two phases and without atomics: blocks leave two values of each channel of their
// slice of the positions, [slices][2][c]; then the slices of a channel are merged, in double.
//   phase 2  grid (c/4)   block 128 threads = 32 (slices) x 4 (channels, 16 bytes side by side)
//            A thread takes every 32nd slice: it asks for all of them before it adds the first, and adds them in order.
//            Then the 32 meet in a butterfly. So the order hangs on the number of slices alone.
#pragma once

#include <algorithm>

#include "kernels/device.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

constexpr std::int64_t kLeastSlice = 256, kMostSlices = 1024;  // positions of a slice, slices

/// The positions [first, last) of a slice. `size`: of every slice but the last, which has the rest.
struct Slice {
  std::int64_t first;
  std::int64_t last;
};
__device__ __forceinline__ Slice slice_of(std::int64_t positions, std::int64_t size, int index) {
  const std::int64_t first = index * size;
  return {first, first + size < positions ? first + size : positions};
}

/// How many slices, and the size of each.
struct Slices {
  explicit Slices(std::int64_t positions)
      : size(blocks_for(positions, std::min(kMostSlices, (positions + kLeastSlice - 1) / kLeastSlice))),
        count(static_cast<int>(blocks_for(positions, size))) {}
  std::int64_t size;
  int count;
};

constexpr int kMergedChannels = 4, kMergers = 32, kMergeThreads = kMergers * kMergedChannels;
constexpr int kMergedSlices = static_cast<int>(kMostSlices) / kMergers;  // of a thread, at most
constexpr int kWarpMergers = kWarp / kMergedChannels;

__device__ __forceinline__ int merger_index() { return thread_index() / kMergedChannels; }
__device__ __forceinline__ int merged_channel() {
  return block_index() * kMergedChannels + thread_index() % kMergedChannels;
}

/// A thread's slices of one of the two values; values: of the first slice. No load waits for another: all are made, of
/// the last slice where there is none, for a branch around each would put them in a row.
__device__ __forceinline__ void load_slices(float (&own)[kMergedSlices], const float* __restrict__ values, int slices,
                                            int c) {
  UNROLL
  for (int i = 0; i < kMergedSlices; ++i) {
    const int s = i * kMergers + merger_index();
    own[i] = values[(s < slices ? s : slices - 1) * 2 * c];
  }
}

/// The sum of value(i, s) over a thread's slices, in order; slice s is its i-th. A group's values are all computed, and
/// those of no slice left out of the sum, so that they do not wait for each other either.
template <typename Value>
__device__ __forceinline__ double sum_own_slices(int slices, Value value) {
  constexpr int kGroup = 8;
  double sum = 0.0;
  UNROLL
  for (int first = 0; first < kMergedSlices; first += kGroup) {
    if (first * kMergers >= slices) break;  // for every thread: on most GPUs a double takes long
    UNROLL
    for (int i = first; i < first + kGroup; ++i) {
      const int s = i * kMergers + merger_index();
      const double term = value(i, s);
      sum += s < slices ? term : 0.0;
    }
  }
  return sum;
}

/// The sum over a channel's threads, in each of them: mergers 16 apart, 8 apart, ..., 1 apart. meeting: a shared array
/// [kMergers][kMergedChannels] of its own.
template <typename Meeting>
__device__ __forceinline__ double merge(Meeting& meeting, double own) {
  const int channel = thread_index() % kMergedChannels, first = merger_index() % kWarpMergers;
  meeting[merger_index()][channel] = own;
  sync_block();
  double sum = (meeting[first][channel] + meeting[first + 2 * kWarpMergers][channel]) +
               (meeting[first + kWarpMergers][channel] + meeting[first + 3 * kWarpMergers][channel]);
  UNROLL
  for (int lanes = kWarp / 2; lanes >= kMergedChannels; lanes /= 2) sum += shuffle_xor(kAllLanes, sum, lanes);
  return sum;
}

}  // namespace lfm::kernels::inline LFM_TARGET
