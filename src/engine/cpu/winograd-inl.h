// Winograd F(6x6, 2x2) on the points 0, 1, -1, 2, -2, -1/2 and infinity: Y = A^T [ (G g G^T) . (B^T d B) ] A, summed
// over input channels between the transforms. 49 products give 36 outputs that direct convolution pays with 144.
//
// With every point's polynomial freed of its denominator (G carries it, weights.cpp), and e_k = d_(k+1) + d_k/2:
//
//   B^T d:  v0 = (e4 - e2) - 4 (e2 - e0)                 A^T m:  y0 = m0 + s1 + s2 + m5
//           v1 = (e4 - 4 e2) + (e3 - 4 e1)                       y1 = d1 +  2 d2 - m5/2
//           v2 = (e4 - 4 e2) - (e3 - 4 e1)                       y2 = s1 +  4 s2 + m5/4
//           v3 = (e4 - e2) + 2 (e3 - e1)                         y3 = d1 +  8 d2 - m5/8
//           v4 = (e4 - e2) - 2 (e3 - e1)                         y4 = s1 + 16 s2 + m5/16
//           v5 = (d5 - d3) - 4 (d3 - d1)                         y5 = d1 + 32 d2 - m5/32 + m6
//           v6 = (e5 - e3) - 4 (e3 - e1)                  with s1 = m1 + m2, d1 = m1 - m2, s2 = m3 + m4, d2 = m3 - m4
//
// Of a flat tile every v but v1 is exactly zero, and every y exactly m1: equal values stay equal, as ties want.
// The transforms work on vectors of channels. Each runs over columns into a small array in L1, then over its rows.
#if defined(LFM_CPU_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_WINOGRAD_INL_H_
#undef LFM_CPU_WINOGRAD_INL_H_
#else
#define LFM_CPU_WINOGRAD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline constexpr int kTile6In = 7;
inline constexpr int kTile6Out = 6;

/// v[0, stride, ... 6 stride] = B^T (d[0, step, ... 6 step]).
HWY_INLINE HWY_ATTR void transform_input(const float* HWY_RESTRICT in, std::size_t step, float* HWY_RESTRICT v,
                                         std::size_t stride) {
  const F32 d;
  const Vec half = hn::Set(d, 0.5f), four = hn::Set(d, 4.0f), two = hn::Set(d, 2.0f);
  const Vec d0 = hn::Load(d, in), d1 = hn::Load(d, in + step), d2 = hn::Load(d, in + 2 * step);
  const Vec d3 = hn::Load(d, in + 3 * step), d4 = hn::Load(d, in + 4 * step), d5 = hn::Load(d, in + 5 * step);
  const Vec d6 = hn::Load(d, in + 6 * step);
  const Vec e0 = hn::MulAdd(half, d0, d1), e1 = hn::MulAdd(half, d1, d2), e2 = hn::MulAdd(half, d2, d3);
  const Vec e3 = hn::MulAdd(half, d3, d4), e4 = hn::MulAdd(half, d4, d5), e5 = hn::MulAdd(half, d5, d6);
  const Vec even1 = hn::NegMulAdd(four, e2, e4), odd1 = hn::NegMulAdd(four, e1, e3);
  const Vec even2 = hn::Sub(e4, e2), odd2 = hn::Sub(e3, e1);
  hn::Store(hn::NegMulAdd(four, hn::Sub(e2, e0), even2), d, v);
  hn::Store(hn::Add(even1, odd1), d, v + stride);
  hn::Store(hn::Sub(even1, odd1), d, v + 2 * stride);
  hn::Store(hn::MulAdd(two, odd2, even2), d, v + 3 * stride);
  hn::Store(hn::NegMulAdd(two, odd2, even2), d, v + 4 * stride);
  hn::Store(hn::NegMulAdd(four, hn::Sub(d3, d1), hn::Sub(d5, d3)), d, v + 5 * stride);
  hn::Store(hn::NegMulAdd(four, odd2, hn::Sub(e5, e3)), d, v + 6 * stride);
}

inline HWY_ATTR void tile6_input(const TileInput& p) {
  HWY_ALIGN float columns[kTile6In * kTile6In * kLanes];
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    const float* in = p.in + c;
    for (int x = 0; x < kTile6In; ++x) {
      transform_input(in + x * p.pixel, p.row, columns + x * kLanes, kTile6In * kLanes);
      // The next tile of the row: six pixels on.
      for (int y = 0; y < kTile6In; ++y) __builtin_prefetch(in + (x + kTile6Out) * p.pixel + y * p.row);
    }
    float* v = p.v + (c / kSlab) * p.slab + c % kSlab;
    for (int y = 0; y < kTile6In; ++y) {
      transform_input(columns + y * kTile6In * kLanes, kLanes, v + y * kTile6In * p.frequency, p.frequency);
    }
  }
}

/// y[0..5] = A^T (m[0, step, ... 6 step]).
HWY_INLINE HWY_ATTR void transform_output(const float* HWY_RESTRICT m, std::size_t step, Vec& y0, Vec& y1, Vec& y2,
                                          Vec& y3, Vec& y4, Vec& y5) {
  const F32 d;
  const Vec m1 = hn::Load(d, m + step), m2 = hn::Load(d, m + 2 * step);
  const Vec m3 = hn::Load(d, m + 3 * step), m4 = hn::Load(d, m + 4 * step), m5 = hn::Load(d, m + 5 * step);
  const Vec s1 = hn::Add(m1, m2), d1 = hn::Sub(m1, m2), s2 = hn::Add(m3, m4), d2 = hn::Sub(m3, m4);
  y0 = hn::Add(hn::Add(hn::Load(d, m), m5), hn::Add(s1, s2));
  y1 = hn::MulAdd(hn::Set(d, -0.5f), m5, hn::MulAdd(hn::Set(d, 2.0f), d2, d1));
  y2 = hn::MulAdd(hn::Set(d, 0.25f), m5, hn::MulAdd(hn::Set(d, 4.0f), s2, s1));
  y3 = hn::MulAdd(hn::Set(d, -0.125f), m5, hn::MulAdd(hn::Set(d, 8.0f), d2, d1));
  y4 = hn::MulAdd(hn::Set(d, 0.0625f), m5, hn::MulAdd(hn::Set(d, 16.0f), s2, s1));
  y5 = hn::MulAdd(hn::Set(d, -0.03125f), m5, hn::MulAdd(hn::Set(d, 32.0f), d2, hn::Add(d1, hn::Load(d, m + 6 * step))));
}

/// The first pass of the inverse transform: columns of products to 6 x 7 values.
HWY_INLINE HWY_ATTR void inverse_columns(const float* HWY_RESTRICT m, std::size_t frequency, float* HWY_RESTRICT rows) {
  const F32 d;
  for (int x = 0; x < kTile6In; ++x) {
    Vec y0, y1, y2, y3, y4, y5;
    transform_output(m + x * frequency, kTile6In * frequency, y0, y1, y2, y3, y4, y5);
    float* out = rows + x * kLanes;
    constexpr std::size_t row = kTile6In * kLanes;
    hn::Store(y0, d, out);
    hn::Store(y1, d, out + row);
    hn::Store(y2, d, out + 2 * row);
    hn::Store(y3, d, out + 3 * row);
    hn::Store(y4, d, out + 4 * row);
    hn::Store(y5, d, out + 5 * row);
  }
}

inline HWY_ATTR void tile6_output_pooled(const TileOutput& p) {
  const F32 d;
  HWY_ALIGN float rows[kTile6Out * kTile6In * kLanes];
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    inverse_columns(p.m + c, p.frequency, rows);
    const Vec bias = hn::Load(d, p.bias + c);
    for (int y = 0; y < p.rows; ++y) {
      Vec a0, a1, a2, a3, a4, a5, b0, b1, b2, b3, b4, b5;
      const float* row = rows + 2 * y * kTile6In * kLanes;
      transform_output(row, kLanes, a0, a1, a2, a3, a4, a5);
      transform_output(row + kTile6In * kLanes, kLanes, b0, b1, b2, b3, b4, b5);
      const Vec q0 = hn::Max(hn::Max(a0, a1), hn::Max(b0, b1));
      const Vec q1 = hn::Max(hn::Max(a2, a3), hn::Max(b2, b3));
      const Vec q2 = hn::Max(hn::Max(a4, a5), hn::Max(b4, b5));
      float* out = p.out + y * p.row + c;
      for (std::size_t x = 3; x < 6; ++x) __builtin_prefetch(out + x * p.pixel, 1);  // the next tile's
      hn::Store(relu(hn::Add(q0, bias)), d, out);
      if (p.columns > 1) hn::Store(relu(hn::Add(q1, bias)), d, out + p.pixel);
      if (p.columns > 2) hn::Store(relu(hn::Add(q2, bias)), d, out + 2 * p.pixel);
    }
  }
}

inline HWY_ATTR void tile6_output(const TileOutput& p) {
  const F32 d;
  HWY_ALIGN float rows[kTile6Out * kTile6In * kLanes];
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    inverse_columns(p.m + c, p.frequency, rows);
    const Vec bias = hn::Load(d, p.bias + c);
    for (int y = 0; y < p.rows; ++y) {
      Vec q[kTile6Out];
      transform_output(rows + y * kTile6In * kLanes, kLanes, q[0], q[1], q[2], q[3], q[4], q[5]);
      float* out = p.out + y * p.row + c;
#pragma GCC unroll 6
      for (int x = 0; x < kTile6Out; ++x) {
        __builtin_prefetch(out + (x + kTile6Out) * p.pixel, 1);  // the next tile's
        if (x < p.columns) hn::Store(relu(hn::Add(q[x], bias)), d, out + x * p.pixel);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
