// Winograd F(4x4, 2x2) for BF16: Y = A^T [ (G g G^T) . (B^T d B) ] A, summed over input channels between the
// transforms. 25 products give 16 outputs that direct convolution pays with 64.
//
// Both factors of a product are rounded to BF16, and A^T magnifies that; by how much depends on the points. +-3/8,
// +-5/4 and infinity are near the best: for white inputs the outputs' error is 2.8 times direct convolution's, with the
// usual 0, 1, -1, 2 and infinity 6.4 times, with the points of F(6x6, 2x2) in winograd-inl.h 19 times. With a = 3/8, b
// = 5/4:
//
//   B^T d:  v0, v1 = (d3 - b^2 d1) +- a (d2 - b^2 d0)        A^T m:  y0 = (m0 + m1) + (m2 + m3)
//           v2, v3 = (d3 - a^2 d1) +- b (d2 - a^2 d0)                y1 = a   (m0 - m1) + b   (m2 - m3)
//           v4     = d4 - (a^2 + b^2) d2 + a^2 b^2 d0                y2 = a^2 (m0 + m1) + b^2 (m2 + m3)
//                                                                    y3 = a^3 (m0 - m1) + b^3 (m2 - m3) + m4
// G carries the denominators (weights.cpp). The transforms are FP32; their vectors are channels. Each runs over
// columns, then rows.
#if defined(LFM_CPU_WINOGRAD_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_WINOGRAD_BF16_INL_H_
#undef LFM_CPU_WINOGRAD_BF16_INL_H_
#else
#define LFM_CPU_WINOGRAD_BF16_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline constexpr int kTile4In = 5;
inline constexpr int kTile4Out = 4;

inline constexpr float kA = 0.375f, kA2 = kA * kA, kA3 = kA2 * kA;
inline constexpr float kB = 1.25f, kB2 = kB * kB, kB3 = kB2 * kB;

/// v = B^T x.
HWY_INLINE HWY_ATTR void input_side(const Vec (&x)[kTile4In], Vec (&v)[kTile4In]) {
  const F32 d;
  const Vec a = hn::Set(d, kA), a2 = hn::Set(d, kA2), b = hn::Set(d, kB), b2 = hn::Set(d, kB2);
  const Vec odd_a = hn::NegMulAdd(b2, x[1], x[3]), even_a = hn::NegMulAdd(b2, x[0], x[2]);
  const Vec odd_b = hn::NegMulAdd(a2, x[1], x[3]), even_b = hn::NegMulAdd(a2, x[0], x[2]);
  v[0] = hn::MulAdd(a, even_a, odd_a);
  v[1] = hn::NegMulAdd(a, even_a, odd_a);
  v[2] = hn::MulAdd(b, even_b, odd_b);
  v[3] = hn::NegMulAdd(b, even_b, odd_b);
  v[4] = hn::NegMulAdd(b2, even_b, hn::NegMulAdd(a2, x[2], x[4]));
}

/// y = A^T m.
HWY_INLINE HWY_ATTR void output_side(const Vec (&m)[kTile4In], Vec (&y)[kTile4Out]) {
  const F32 d;
  const Vec sum_a = hn::Add(m[0], m[1]), difference_a = hn::Sub(m[0], m[1]);
  const Vec sum_b = hn::Add(m[2], m[3]), difference_b = hn::Sub(m[2], m[3]);
  y[0] = hn::Add(sum_a, sum_b);
  y[1] = hn::MulAdd(hn::Set(d, kB), difference_b, hn::Mul(hn::Set(d, kA), difference_a));
  y[2] = hn::MulAdd(hn::Set(d, kB2), sum_b, hn::Mul(hn::Set(d, kA2), sum_a));
  y[3] = hn::MulAdd(hn::Set(d, kB3), difference_b, hn::MulAdd(hn::Set(d, kA3), difference_a, m[4]));
}

template <typename Arithmetic>
LFM_CPU_ATTR void tile4_input(const TileInput& p) {
  const std::size_t channels = static_cast<std::size_t>(p.channels);
  for (std::size_t c = 0; c < channels; c += kLanes) {
    Vec columns[kTile4In][kTile4In];  // [x][frequency of y]
#pragma GCC unroll 5
    for (std::size_t x = 0; x < kTile4In; ++x) {
      Vec column[kTile4In];
#pragma GCC unroll 5
      for (std::size_t y = 0; y < kTile4In; ++y) column[y] = Arithmetic::Load(p.in + y * p.row + x * p.pixel, c);
      input_side(column, columns[x]);
    }
    float* v = p.v + c / kSlab * p.slab;
#pragma GCC unroll 5
    for (std::size_t y = 0; y < kTile4In; ++y) {
      const Vec row[kTile4In] = {columns[0][y], columns[1][y], columns[2][y], columns[3][y], columns[4][y]};
      Vec out[kTile4In];
      input_side(row, out);
#pragma GCC unroll 5
      for (std::size_t x = 0; x < kTile4In; ++x)
        Arithmetic::Store(out[x], v + (y * kTile4In + x) * p.frequency, c % kSlab);
    }
  }
}

/// Y of a vector of channels.
HWY_INLINE HWY_ATTR void inverse_tile4(const TileOutput& p, std::size_t c, Vec (&values)[kTile4Out][kTile4Out]) {
  const F32 d;
  Vec columns[kTile4In][kTile4Out];  // [x][output y]
#pragma GCC unroll 5
  for (std::size_t x = 0; x < kTile4In; ++x) {
    Vec column[kTile4In];
#pragma GCC unroll 5
    for (std::size_t y = 0; y < kTile4In; ++y) column[y] = hn::Load(d, p.m + (y * kTile4In + x) * p.frequency + c);
    output_side(column, columns[x]);
  }
#pragma GCC unroll 4
  for (std::size_t y = 0; y < kTile4Out; ++y) {
    const Vec products[kTile4In] = {columns[0][y], columns[1][y], columns[2][y], columns[3][y], columns[4][y]};
    output_side(products, values[y]);
  }
}

template <typename Arithmetic>
LFM_CPU_ATTR void tile4_output_pooled(const TileOutput& p) {
  const F32 d;
  for (std::size_t c = 0; c < static_cast<std::size_t>(p.channels); c += kLanes) {
    const Vec bias = hn::Load(d, p.bias + c);
    Vec q[kTile4Out][kTile4Out];
    inverse_tile4(p, c, q);
#pragma GCC unroll 2
    for (int y = 0; y < 2; ++y) {
      if (y >= p.rows) break;
      const Vec(&top)[kTile4Out] = q[2 * y];
      const Vec(&bottom)[kTile4Out] = q[2 * y + 1];
      const Vec left = hn::Max(hn::Max(top[0], top[1]), hn::Max(bottom[0], bottom[1]));
      const Vec right = hn::Max(hn::Max(top[2], top[3]), hn::Max(bottom[2], bottom[3]));
      float* out = p.out + y * p.row;
      Arithmetic::Store(relu(hn::Add(left, bias)), out, c);
      if (p.columns > 1) Arithmetic::Store(relu(hn::Add(right, bias)), out + p.pixel, c);
    }
  }
}

template <typename Arithmetic>
LFM_CPU_ATTR void tile4_output(const TileOutput& p) {
  const F32 d;
  for (std::size_t c = 0; c < static_cast<std::size_t>(p.channels); c += kLanes) {
    const Vec bias = hn::Load(d, p.bias + c);
    Vec q[kTile4Out][kTile4Out];
    inverse_tile4(p, c, q);
#pragma GCC unroll 4
    for (int y = 0; y < kTile4Out; ++y) {
      if (y >= p.rows) break;
      float* out = p.out + y * p.row;
#pragma GCC unroll 4
      for (int x = 0; x < kTile4Out; ++x) {
        if (x < p.columns) Arithmetic::Store(relu(hn::Add(q[y][x], bias)), out + x * p.pixel, c);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
