// Block 1's vector kernels for training; first_block.h tells the mathematics around them.
//
// The forward pass is inference's, with the batch's own statistics folded into the filters, and it also notes which of
// a pooling window's four convolutions won: bit 0 the right column, bit 1 the lower row. The backward pass splits each
// output's gradient by its winner into d00 d01 d10 d11 and adds it to the taps that met a pixel there; with the names
// of first_block-inl.h,
//
//     D00 += d01 T + d10 L + d11 C         D01 += d00 T + d10 C + d11 R
//     D10 += d00 L + d01 C + d11 B         D11 += d00 C + d01 R + d10 B
//
// 36 multiply-adds per window and channel, as in the forward pass.
#if defined(LFM_CPU_FIRST_BLOCK_TRAINING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_FIRST_BLOCK_TRAINING_INL_H_
#undef LFM_CPU_FIRST_BLOCK_TRAINING_INL_H_
#else
#define LFM_CPU_FIRST_BLOCK_TRAINING_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "src/engine/cpu/first_block-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kMaskBytes = (kLanes + 7) / 8;
inline constexpr std::size_t kWinnerBytes = 2 * kMaskBytes * (64 / kLanes);

/// One pixel row's residual as two rows of taps per channel: left [3][patch_row], right [3][patch_row], zeros behind
/// `windows`.
inline HWY_ATTR void residual_taps(const std::uint8_t* row, const std::uint8_t* corners, int windows,
                                   std::int16_t* taps) {
  const std::size_t stride = patch_row(windows);
  for (int c = 0; c < 3; ++c) {
    std::int16_t* left = taps + c * stride;
    std::int16_t* right = taps + (3 + c) * stride;
    const auto difference = [&](int x) HWY_ATTR {
      const int value = row[3 * x + c] - corners[3 * (x & ~1) + c];
      return static_cast<std::int16_t>(value < 0 ? -value : value);
    };
    left[0] = difference(0);
    for (int x = 1; x < windows; ++x) left[x] = right[x - 1] = difference(x);
    right[windows - 1] = difference(windows);
    for (std::size_t x = static_cast<std::size_t>(windows); x < stride; ++x) left[x] = right[x] = 0;
  }
}

/// Sums of 16-bit products fit 32 bits over a row of up to 2^31 / 255^2 = 33000 windows.
inline HWY_ATTR std::int32_t dot(const std::int16_t* HWY_RESTRICT a, const std::int16_t* HWY_RESTRICT b,
                                 std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::int32_t>(a[i]) * b[i];
  return sum;
}

inline HWY_ATTR std::int32_t total(const std::int16_t* a, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i];
  return sum;
}

inline HWY_ATTR void patch_moments(const PatchMoments& p) {
  const std::size_t stride = patch_row(p.windows);
  const std::uint8_t* lower = p.pixels + p.pixel_row;
  residual_taps(p.pixels, p.first_row == 0 ? p.pixels : p.pixels - p.pixel_row, p.windows, p.scratch);
  residual_taps(lower, p.first_row == 0 ? p.pixels : lower, p.windows, p.scratch + kPatch / 2 * stride);
  for (int i = 0; i < kPatch; ++i) {
    const std::int16_t* a = p.scratch + i * stride;
    p.sum[i] += total(a, stride);
    for (int j = i; j < kPatch; ++j) p.product[i * kPatch + j] += dot(a, p.scratch + j * stride, stride);
  }
}

template <typename Window>
HWY_ATTR void first_block_train_row(const FirstBlockTrainRow& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  const Window r = window_of<Window>(p.row.pixels, p.row.pixel_row, p.row.columns, p.row.residual);
  for (std::size_t oc = 0; oc < 64; oc += kLanes) {
    const float* weights = p.row.weights + oc / 16 * kPatch * 16 + oc % 16;
    Vec w[kPatch];
#pragma GCC unroll 12
    for (int i = 0; i < kPatch; ++i) w[i] = hn::Load(d, weights + 16 * i);
    const Vec bias = hn::Load(d, p.row.bias + oc);
    std::uint8_t* winner = p.winner + oc / kLanes * 2 * kMaskBytes;
    for (int x = 0; x < p.row.columns; ++x, winner += kWinnerBytes) {
      Vec y00, y01, y10, y11;
      multiply_window(w, r, x, y00, y01, y10, y11);
      const auto upper_right = hn::Gt(y01, y00), lower_right = hn::Gt(y11, y10);
      const Vec upper = hn::Max(y00, y01), lower = hn::Max(y10, y11);
      const auto below = hn::Gt(lower, upper);
      const auto right = hn::Or(hn::And(below, lower_right), hn::AndNot(below, upper_right));
      hn::StoreMaskBits(d, right, winner);
      hn::StoreMaskBits(d, below, winner + kMaskBytes);
      hn::Store(hn::Max(zero, hn::Add(hn::Max(upper, lower), bias)), d,
                p.row.out + 64 * x + oc);  // in this order, NaN passes
    }
  }
}

/// Adds the window's taps, times the gradients of its four positions, to the sums.
HWY_INLINE HWY_ATTR void add_window(const WindowResidual& r, int x, const Vec& d00, const Vec& d01, const Vec& d10,
                                    const Vec& d11, Vec* HWY_RESTRICT sums) {
  const F32 d;
#pragma GCC unroll 3
  for (int c = 0; c < 3; ++c) {
    const Vec t = hn::Set(d, r.top[6 * x + 3 + c]), b = hn::Set(d, r.bottom[6 * x + 3 + c]);
    const Vec left = hn::Set(d, r.left[6 * x + c]), centre = hn::Set(d, r.right[6 * x + 3 + c]);
    const Vec next = hn::Set(d, r.left[6 * x + 6 + c]);
    sums[c] = hn::MulAdd(d11, centre, hn::MulAdd(d10, left, hn::MulAdd(d01, t, sums[c])));
    sums[3 + c] = hn::MulAdd(d11, next, hn::MulAdd(d10, centre, hn::MulAdd(d00, t, sums[3 + c])));
    sums[6 + c] = hn::MulAdd(d11, b, hn::MulAdd(d01, centre, hn::MulAdd(d00, left, sums[6 + c])));
    sums[9 + c] = hn::MulAdd(d10, b, hn::MulAdd(d01, next, hn::MulAdd(d00, centre, sums[9 + c])));
  }
}
HWY_INLINE HWY_ATTR void add_window(const PlainWindow& r, int x, const Vec& d00, const Vec& d01, const Vec& d10,
                                    const Vec& d11, Vec* HWY_RESTRICT sums) {
  const Vec grad[4] = {d00, d01, d10, d11};
  for_products(r, x, [&](int position, int tap, const Vec& value) HWY_ATTR {
    sums[tap] = hn::MulAdd(grad[position], value, sums[tap]);
  });
}

template <typename Window>
HWY_ATTR void first_block_grad_row(const FirstBlockGradRow& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  const Window r = window_of<Window>(p.pixels, p.pixel_row, p.columns, p.residual);
  for (std::size_t oc = 0; oc < 64; oc += kLanes) {
    Vec sums[kPatch + 1];
#pragma GCC unroll 13
    for (int i = 0; i <= kPatch; ++i) sums[i] = hn::Load(d, p.sums + 64 * i + oc);
    const std::uint8_t* winner = p.winner + oc / kLanes * 2 * kMaskBytes;
    for (int x = 0; x < p.columns; ++x, winner += kWinnerBytes) {
      const auto open = hn::Gt(hn::Load(d, p.out + 64 * x + oc), zero);
      const Vec grad = hn::IfThenElseZero(open, hn::Load(d, p.grad + 64 * x + oc));
      const auto right = hn::LoadMaskBits(d, winner), below = hn::LoadMaskBits(d, winner + kMaskBytes);
      const Vec lower = hn::IfThenElseZero(below, grad), upper = hn::IfThenZeroElse(below, grad);
      const Vec d01 = hn::IfThenElseZero(right, upper), d00 = hn::IfThenZeroElse(right, upper);
      const Vec d11 = hn::IfThenElseZero(right, lower), d10 = hn::IfThenZeroElse(right, lower);
      sums[kPatch] = hn::Add(sums[kPatch], grad);
      add_window(r, x, d00, d01, d10, d11, sums);
    }
#pragma GCC unroll 13
    for (int i = 0; i <= kPatch; ++i) hn::Store(sums[i], d, p.sums + 64 * i + oc);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
