#include "src/image/resize_kernels.h"

#include <algorithm>

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/image/resize_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LFM_RESIZE_KERNELS_PLAIN
#define LFM_RESIZE_KERNELS_PLAIN
namespace lfm {

inline constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);

inline std::uint8_t round_weighted(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

inline void horizontal_plain(const std::uint8_t* row, const ResizeFilter& filter, std::uint8_t* out) {
  for (std::size_t i = 0; i < filter.first.size(); ++i) {
    const std::uint8_t* source = row + std::size_t{3} * filter.first[i];
    const std::int32_t* weights = &filter.weights[i * filter.stride];
    std::int32_t sum[3] = {kHalf, kHalf, kHalf};
    for (int t = 0; t < filter.count[i]; ++t, source += 3) {
      for (int c = 0; c < 3; ++c) sum[c] += weights[t] * source[c];
    }
    for (int c = 0; c < 3; ++c) out[3 * i + c] = round_weighted(sum[c]);
  }
}

inline void vertical_plain(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::size_t size,
                           std::uint8_t* out) {
  for (std::size_t j = 0; j < size; ++j) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += weights[t] * rows[t][j];
    out[j] = round_weighted(sum);
  }
}

}  // namespace lfm
#endif  // LFM_RESIZE_KERNELS_PLAIN

HWY_BEFORE_NAMESPACE();
namespace lfm {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

void horizontal(const std::uint8_t* row, const ResizeFilter& filter, std::uint8_t* out) {
  horizontal_plain(row, filter, out);
}

void vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::size_t size,
              std::uint8_t* out) {
  vertical_plain(rows, weights, count, size, out);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// Vectors of kBlocks 16-byte blocks. Scalable ones have no compile-time size to be cut by; one block they
// always have.
#if HWY_HAVE_SCALABLE
constexpr int kBlocks = 1;
#else
constexpr int kBlocks = std::min<int>(HWY_MAX_BYTES, 64) / 16;
#endif
template <int blocks>
using Sums = hn::FixedTag<std::int32_t, 4 * blocks>;

// The sum over a vector's blocks.
template <int blocks>
HWY_INLINE hn::Vec<Sums<1> > sum_blocks(hn::Vec<Sums<blocks> > v) {
  if constexpr (blocks == 1) {
    return v;
  } else {
    const Sums<blocks / 2> half;
    return sum_blocks<blocks / 2>(hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// A 16-byte block per tap: its pixel's three bytes, each widened to 32 bits, and an unused lane. One load of
// 16 bytes, broadcast to all blocks, holds the pixels of all of them.
void horizontal(const std::uint8_t* row, const ResizeFilter& filter, std::uint8_t* out) {
  const hn::FixedTag<std::uint8_t, 16 * kBlocks> bytes;
  const Sums<kBlocks> sums;
  const Sums<1> block;
  const hn::FixedTag<std::uint8_t, 4> block_bytes;

  HWY_ALIGN std::uint8_t spread_bytes[16 * kBlocks];
  HWY_ALIGN std::int32_t weight_lanes[4 * kBlocks];
  for (int b = 0; b < kBlocks; ++b) {
    for (int lane = 0; lane < 16; ++lane) {
      const bool used = lane % 4 == 0 && lane < 12;
      spread_bytes[16 * b + lane] = static_cast<std::uint8_t>(used ? 3 * b + lane / 4 : 0x80);  // 0x80: zero
    }
    for (int lane = 0; lane < 4; ++lane) weight_lanes[4 * b + lane] = b;
  }
  const auto spread = hn::Load(bytes, spread_bytes);
  const auto weight_of_block = hn::SetTableIndices(sums, weight_lanes);
  const auto half = hn::Set(block, kHalf);

  for (std::size_t i = 0; i < filter.first.size(); ++i) {
    const std::uint8_t* source = row + std::size_t{3} * filter.first[i];
    const std::int32_t* weights = &filter.weights[i * filter.stride];
    auto sum = hn::Zero(sums);
    for (int t = 0; t < filter.count[i]; t += kBlocks) {
      const auto pixels = hn::BitCast(sums, hn::TableLookupBytesOr0(hn::LoadDup128(bytes, source + 3 * t), spread));
      const auto weight = hn::TableLookupLanes(hn::LoadDup128(sums, weights + t), weight_of_block);
      sum = hn::Add(sum, hn::Mul(pixels, weight));
    }
    const auto rounded = hn::ShiftRight<kWeightBits>(hn::Add(sum_blocks<kBlocks>(sum), half));
    hn::StoreU(hn::DemoteTo(block_bytes, rounded), block_bytes,
               out + 3 * i);  // the fourth byte is overwritten next
  }
}

void vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::size_t size,
              std::uint8_t* out) {
  const Sums<kBlocks> sums;
  const hn::FixedTag<std::uint8_t, 4 * kBlocks> bytes;
  constexpr std::size_t lanes = 4 * kBlocks;
  for (std::size_t j = 0; j < size; j += 2 * lanes) {
    auto sum0 = hn::Set(sums, kHalf), sum1 = sum0;
    for (int t = 0; t < count; ++t) {
      const auto weight = hn::Set(sums, weights[t]);
      sum0 = hn::Add(sum0, hn::Mul(weight, hn::PromoteTo(sums, hn::LoadU(bytes, rows[t] + j))));
      sum1 = hn::Add(sum1, hn::Mul(weight, hn::PromoteTo(sums, hn::LoadU(bytes, rows[t] + j + lanes))));
    }
    hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum0)), bytes, out + j);
    hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kWeightBits>(sum1)), bytes, out + j + lanes);
  }
}

#endif

ResizeKernels resize_kernels() { return {horizontal, vertical}; }

}  // namespace HWY_NAMESPACE
}  // namespace lfm
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "src/machine/vector_targets.h"

namespace lfm {

std::vector<ResizeKernels> all_resize_kernels() {
  std::vector<ResizeKernels> all;
#if HWY_TARGETS & HWY_AVX3
  if (supported_vector_targets() & HWY_AVX3) all.push_back(N_AVX3::resize_kernels());
#endif
#if HWY_TARGETS & HWY_AVX2
  if (supported_vector_targets() & HWY_AVX2) all.push_back(N_AVX2::resize_kernels());
#endif
#if HWY_TARGETS & HWY_SSE4
  if (supported_vector_targets() & HWY_SSE4) all.push_back(N_SSE4::resize_kernels());
#endif
  all.push_back(HWY_STATIC_DISPATCH(resize_kernels)());
  all.push_back({horizontal_plain, vertical_plain});
  return all;
}

const ResizeKernels& fast_resize_kernels() {
  static const ResizeKernels fastest = all_resize_kernels().front();
  return fastest;
}

}  // namespace lfm
#endif
