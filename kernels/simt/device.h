// What kernels/device.cuh means on the emulated device. Only device.cuh includes this.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>

#include "kernels/simt/grid.h"
#include "kernels/target.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
// Loops stay rolled: unrolled, the kernels take three times as long to compile. But where the memory checker counts
// accesses (docs/KERNEL-COUNTERS.md): to it each repetition is an instruction of its own, as on a GPU.
#if defined(LFM_UNROLLED)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif
#define ROLLED

#define threadIdx (::lfm::simt::current_position->thread)
#define blockIdx (::lfm::simt::current_position->block)
#define blockDim (::lfm::simt::current_position->threads)
#define gridDim (::lfm::simt::current_position->blocks)

// The key is the address of a static of this very declaration, one for each instantiation of the function around it.
#define SHARED_ARRAY(type, name, ...)                        \
  auto& name = ::lfm::simt::shared_array<type, __VA_ARGS__>( \
      [] {                                                   \
        static const char key = 0;                           \
        return static_cast<const void*>(&key);               \
      }(),                                                   \
      #name, ::lfm::simt::Site::current())

namespace lfm::simt {

/// An index that remembers where it was written.
struct Index {
  template <std::integral I>
  constexpr Index(I v, const Site& s = Site::current()) : value(static_cast<std::int64_t>(v)), site(s) {}
  std::int64_t value;
  Site site;
};

/// T name[extent][more...], with every index checked.
template <typename T, int extent, int... more>
class SharedArray {
 public:
  using Item = typename std::conditional_t<sizeof...(more) == 0, std::type_identity<T>,
                                           std::type_identity<SharedArray<T, more...>>>::type;
  Item& operator[](const Index& i) {
    if (i.value < 0 || i.value >= extent) [[unlikely]] {
      fail("index " + std::to_string(i.value) + " of a shared array of " + std::to_string(extent), i.site);
    }
    return items_[i.value];
  }

 private:
  Item items_[extent];
};

// The last dimension's items are plain values; this ends the recursion.
template <typename T, int extent>
class SharedArray<T, extent> {
 public:
  T& operator[](const Index& i) {
    if (i.value < 0 || i.value >= extent) [[unlikely]] {
      fail("index " + std::to_string(i.value) + " of a shared array of " + std::to_string(extent), i.site);
    }
    return items_[i.value];
  }

 private:
  T items_[extent];
};

template <typename T, int... extents>
SharedArray<T, extents...>& shared_array(const void* key, const char* name, const Site& site) {
  using Array = SharedArray<T, extents...>;
  return *static_cast<Array*>(shared_memory(key, name, sizeof(Array), site));
}

}  // namespace lfm::simt

namespace lfm::kernels::inline LFM_TARGET {

using simt::Site;

template <typename T, int... extents>
using Shared = simt::SharedArray<T, extents...>;

template <typename Layout>
Layout& dynamic_shared(const Site& site = Site::current()) {
  return *static_cast<Layout*>(simt::dynamic_shared_memory(sizeof(Layout), site));
}

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};

inline int cluster_size() { return static_cast<int>(simt::current_position->cluster); }
inline int cluster_rank() { return static_cast<int>(blockIdx.x % simt::current_position->cluster); }

inline void sync_block(const Site& site = Site::current()) { simt::sync_block(site); }

inline void sync_warp(std::uint32_t mask, const Site& site = Site::current()) { simt::sync_warp(mask, site); }

// What one lane brings to a shuffle: a value and the lane it reads; and takes away.
template <typename T>
struct ShuffleOperands {
  T value;
  int source;
  T result;
};

template <typename T>
T shuffle_from(const char* name, std::uint32_t mask, T value, int source, const Site& site) {
  ShuffleOperands<T> own{value, source, value};
  simt::warp_collective(
      name,
      [](void* const* operands, std::uint32_t lanes, const Site& where) {
        for (int lane = 0; lane < simt::kWarp; ++lane) {
          if ((lanes >> lane & 1u) == 0) continue;
          auto& to = *static_cast<ShuffleOperands<T>*>(operands[lane]);
          if ((lanes >> to.source & 1u) == 0) {
            simt::fail("a shuffle reads lane " + std::to_string(to.source) + ", which takes no part in it", where);
          }
          to.result = static_cast<const ShuffleOperands<T>*>(operands[to.source])->value;
        }
      },
      mask, &own, site);
  return own.result;
}

inline int own_lane() { return static_cast<int>(threadIdx.x) % simt::kWarp; }

template <typename T>
T shuffle(std::uint32_t mask, T value, int source, const Site& site = Site::current()) {
  return shuffle_from("shuffle", mask, value, source & (simt::kWarp - 1), site);
}
template <typename T>
T shuffle_up(std::uint32_t mask, T value, int delta, const Site& site = Site::current()) {
  const int lane = own_lane();
  return shuffle_from("shuffle_up", mask, value, lane < delta ? lane : lane - delta, site);
}
template <typename T>
T shuffle_down(std::uint32_t mask, T value, int delta, const Site& site = Site::current()) {
  const int lane = own_lane();
  return shuffle_from("shuffle_down", mask, value, lane + delta >= simt::kWarp ? lane : lane + delta, site);
}
template <typename T>
T shuffle_xor(std::uint32_t mask, T value, int bits, const Site& site = Site::current()) {
  return shuffle_from("shuffle_xor", mask, value, own_lane() ^ bits, site);
}

inline std::uint32_t ballot(std::uint32_t mask, bool predicate, const Site& site = Site::current()) {
  struct Operands {
    bool predicate;
    std::uint32_t result;
  } own{predicate, 0};
  simt::warp_collective(
      "ballot",
      [](void* const* operands, std::uint32_t lanes, const Site&) {
        std::uint32_t votes = 0;
        for (int lane = 0; lane < simt::kWarp; ++lane) {
          if ((lanes >> lane & 1u) && static_cast<Operands*>(operands[lane])->predicate) votes |= 1u << lane;
        }
        for (int lane = 0; lane < simt::kWarp; ++lane) {
          if (lanes >> lane & 1u) static_cast<Operands*>(operands[lane])->result = votes;
        }
      },
      mask, &own, site);
  return own.result;
}

inline float4 load4(const float* p, const Site& site = Site::current()) {
  float4 v;
  simt::load_vector(&v, p, sizeof v, site);
  return v;
}
inline float2 load2(const float* p, const Site& site = Site::current()) {
  float2 v;
  simt::load_vector(&v, p, sizeof v, site);
  return v;
}
inline void store4(float* p, const float4& v, const Site& site = Site::current()) {
  simt::store_vector(p, &v, sizeof v, site);
}
inline void store2(float* p, const float2& v, const Site& site = Site::current()) {
  simt::store_vector(p, &v, sizeof v, site);
}

inline float maximum(float a, float b) { return a > b || a != a ? a : b; }
inline float multiply_add(float a, float b, float c) { return std::fma(a, b, c); }
inline int count_bits(std::uint32_t v) { return std::popcount(v); }
inline int lowest_bit(std::uint32_t v) { return std::countr_zero(v); }
inline std::uint32_t float_bits(float v) { return std::bit_cast<std::uint32_t>(v); }
inline float bits_float(std::uint32_t v) { return std::bit_cast<float>(v); }

}  // namespace lfm::kernels::inline LFM_TARGET
