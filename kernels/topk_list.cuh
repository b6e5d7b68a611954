// The k largest values of a row, found by one warp; equal values in order of position.
// The warp holds the best so far as a sorted list across its lanes: rank 32s + lane is slot s of that lane. It reads 32
// positions at a time, side by side, eight times ahead; a vote finds those above the k-th best, and each is inserted in
// order of position: a vote counts the entries that stay before it, the others move up by one lane. Insertions follow
// each other and take the time, so most are spared: a first look at the row finds each lane's largest value, and the
// k-th largest of these is a floor, which k values reach. On random maps some k + k^2/64 values of the row do; without
// it, k(1 + ln(area/k)) would be inserted. Values are compared as integers whose order is that of the floats; 0 stands
// below all of them and fills the empty list.
#pragma once

#include "kernels/device.cuh"
#include "kernels/order.cuh"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kAhead = 8;  // warps of positions that are read before the first of them is looked at

template <int kSlots>
struct SortedList {
  std::uint32_t key[kSlots] = {};
  int position[kSlots] = {};

  __device__ __forceinline__ std::uint32_t key_at(int rank) const {
    std::uint32_t found = 0;
    UNROLL
    for (int s = 0; s < kSlots; ++s) {
      const std::uint32_t candidate = shuffle(kAllLanes, key[s], rank % kWarp);
      if (s == rank / kWarp) found = candidate;
    }
    return found;
  }

  __device__ __forceinline__ void insert(std::uint32_t new_key, int new_position) {
    int before = 0;
    UNROLL
    for (int s = 0; s < kSlots; ++s) before += count_bits(ballot(kAllLanes, key[s] >= new_key));
    UNROLL
    for (int s = kSlots - 1; s >= 0; --s) {
      std::uint32_t previous_key = shuffle_up(kAllLanes, key[s], 1);
      int previous_position = shuffle_up(kAllLanes, position[s], 1);
      if (s > 0) {
        const std::uint32_t carried_key = shuffle(kAllLanes, key[s > 0 ? s - 1 : 0], kWarp - 1);
        const int carried_position = shuffle(kAllLanes, position[s > 0 ? s - 1 : 0], kWarp - 1);
        if (lane_index() == 0) {
          previous_key = carried_key;
          previous_position = carried_position;
        }
      }
      const int rank = s * kWarp + lane_index();
      if (rank == before) {
        key[s] = new_key;
        position[s] = new_position;
      } else if (rank > before) {
        key[s] = previous_key;
        position[s] = previous_position;
      }
    }
  }

  /// A lane's positions from `first` on, 0 behind the row's end. No load waits for another, nor for what is inserted:
  /// all are made, of the last position where there is none, for a branch around each would put them in a row.
  static __device__ __forceinline__ void read(std::uint32_t (&own)[kAhead], const float* __restrict__ row, int first,
                                              int area) {
    float value[kAhead];
    UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const int at = first + i * kWarp + lane_index();
      value[i] = row[at < area ? at : area - 1];
    }
    UNROLL
    for (int i = 0; i < kAhead; ++i) own[i] = first + i * kWarp + lane_index() < area ? key_of(value[i]) : 0;
  }

  /// What at least k values of the row reach, k <= 32: the k-th largest of the lanes' largest values.
  static __device__ __forceinline__ std::uint32_t floor_of(const float* __restrict__ row, int area, int k) {
    std::uint32_t largest = 0;
    for (int first = 0; first < area; first += kAhead * kWarp) {
      std::uint32_t own[kAhead];
      read(own, row, first, area);
      UNROLL
      for (int i = 0; i < kAhead; ++i) largest = own[i] > largest ? own[i] : largest;
    }
    int before = 0;  // lanes whose value is larger, or as large and of a lower lane
    UNROLL
    for (int lane = 0; lane < kWarp; ++lane) {
      const std::uint32_t other = shuffle(kAllLanes, largest, lane);
      before += other > largest || (other == largest && lane < lane_index());
    }
    return shuffle(kAllLanes, largest, lowest_bit(ballot(kAllLanes, before == k - 1)));
  }

  /// Fills the empty list with the k best of the row, k <= 32 * kSlots.
  __device__ __forceinline__ void select(const float* __restrict__ row, int area, int k) {
    std::uint32_t threshold = 0;  // below it no value is among the k best, as far as is known
    if constexpr (kSlots == 1) {
      const std::uint32_t floor = floor_of(row, area, k);
      threshold = floor == 0 ? 0 : floor - 1;
    }
    for (int first = 0; first < area; first += kAhead * kWarp) {
      std::uint32_t own[kAhead];
      read(own, row, first, area);
      UNROLL
      for (int i = 0; i < kAhead; ++i) {
        std::uint32_t candidates = ballot(kAllLanes, own[i] > threshold);
        while (candidates != 0) {
          const int lane = lowest_bit(candidates);
          candidates &= candidates - 1;
          const std::uint32_t new_key = shuffle(kAllLanes, own[i], lane);
          if (new_key <= threshold) continue;  // an earlier candidate has raised it
          insert(new_key, first + i * kWarp + lane);
          const std::uint32_t last = key_at(k - 1);  // 0 while there are fewer
          threshold = last > threshold ? last : threshold;
        }
      }
    }
  }
};

}  // namespace lfm::kernels::inline LFM_TARGET
