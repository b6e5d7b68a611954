// Winograd F(4x4, 3x3) on the points 0, 1, -1, 2, -2 and infinity, for the ResNet trunk's 3x3 convolutions of stride 1:
// 36 products give 16 outputs that direct convolution pays with 144. As winograd-inl.h does for 2x2 kernels; G is in
// resnet_weights.cpp.
//
//   B^T d:  v0 = 4 d0 - 5 d2 + d4                       A^T m:  y0 = m0 + s1 + s2
//           v1 = (d4 - 4 d2) + (d3 - 4 d1)                      y1 = d1 + 2 d2
//           v2 = (d4 - 4 d2) - (d3 - 4 d1)                      y2 = s1 + 4 s2
//           v3 = (d4 - d2) + 2 (d3 - d1)                        y3 = d1 + 8 d2 + m5
//           v4 = (d4 - d2) - 2 (d3 - d1)                 with s1 = m1 + m2, d1 = m1 - m2, s2 = m3 + m4, d2 = m3 - m4
//           v5 = 4 d1 - 5 d3 + d5
#if defined(LFM_CPU_WINOGRAD3_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_WINOGRAD3_INL_H_
#undef LFM_CPU_WINOGRAD3_INL_H_
#else
#define LFM_CPU_WINOGRAD3_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

/// v[0, stride, ... 5 stride] = B^T (d[0, step, ... 5 step]).
HWY_INLINE HWY_ATTR void transform3_input(const float* HWY_RESTRICT in, std::size_t step, float* HWY_RESTRICT v,
                                          std::size_t stride) {
  const F32 d;
  const Vec two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f), five = hn::Set(d, 5.0f);
  const Vec d0 = hn::Load(d, in), d1 = hn::Load(d, in + step), d2 = hn::Load(d, in + 2 * step);
  const Vec d3 = hn::Load(d, in + 3 * step), d4 = hn::Load(d, in + 4 * step), d5 = hn::Load(d, in + 5 * step);
  const Vec even1 = hn::NegMulAdd(four, d2, d4), odd1 = hn::NegMulAdd(four, d1, d3);
  const Vec even2 = hn::Sub(d4, d2), odd2 = hn::Sub(d3, d1);
  hn::Store(hn::NegMulAdd(five, d2, hn::MulAdd(four, d0, d4)), d, v);
  hn::Store(hn::Add(even1, odd1), d, v + stride);
  hn::Store(hn::Sub(even1, odd1), d, v + 2 * stride);
  hn::Store(hn::MulAdd(two, odd2, even2), d, v + 3 * stride);
  hn::Store(hn::NegMulAdd(two, odd2, even2), d, v + 4 * stride);
  hn::Store(hn::NegMulAdd(five, d3, hn::MulAdd(four, d1, d5)), d, v + 5 * stride);
}

inline HWY_ATTR void tile3_input(const TileInput& p) {
  HWY_ALIGN float columns[kTile3In * kTile3In * kLanes];
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    const float* in = p.in + c;
    for (int x = 0; x < kTile3In; ++x)
      transform3_input(in + x * p.pixel, p.row, columns + x * kLanes, kTile3In * kLanes);
    float* v = p.v + (c / kSlab) * p.slab + c % kSlab;
    for (int y = 0; y < kTile3In; ++y) {
      transform3_input(columns + y * kTile3In * kLanes, kLanes, v + y * kTile3In * p.frequency, p.frequency);
    }
  }
}

/// y[0..3] = A^T (m[0, step, ... 5 step]).
HWY_INLINE HWY_ATTR void transform3_output(const float* HWY_RESTRICT m, std::size_t step, Vec& y0, Vec& y1, Vec& y2,
                                           Vec& y3) {
  const F32 d;
  const Vec m1 = hn::Load(d, m + step), m2 = hn::Load(d, m + 2 * step), m3 = hn::Load(d, m + 3 * step),
            m4 = hn::Load(d, m + 4 * step);
  const Vec s1 = hn::Add(m1, m2), d1 = hn::Sub(m1, m2), s2 = hn::Add(m3, m4), d2 = hn::Sub(m3, m4);
  y0 = hn::Add(hn::Add(hn::Load(d, m), s1), s2);
  y1 = hn::MulAdd(hn::Set(d, 2.0f), d2, d1);
  y2 = hn::MulAdd(hn::Set(d, 4.0f), s2, s1);
  y3 = hn::MulAdd(hn::Set(d, 8.0f), d2, hn::Add(d1, hn::Load(d, m + 5 * step)));
}

inline HWY_ATTR void tile3_output(const TileOutput& p) {
  const F32 d;
  HWY_ALIGN float rows[kTile3Out * kTile3In * kLanes];
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    for (int x = 0; x < kTile3In; ++x) {
      Vec y[kTile3Out];
      transform3_output(p.m + c + x * p.frequency, kTile3In * p.frequency, y[0], y[1], y[2], y[3]);
#pragma GCC unroll 4
      for (int r = 0; r < kTile3Out; ++r) hn::Store(y[r], d, rows + (r * kTile3In + x) * kLanes);
    }
    const Vec bias = hn::Load(d, p.bias + c);
    for (int r = 0; r < p.rows; ++r) {
      Vec y[kTile3Out];
      transform3_output(rows + r * kTile3In * kLanes, kLanes, y[0], y[1], y[2], y[3]);
      float* out = p.out + r * p.row + c;
#pragma GCC unroll 4
      for (int x = 0; x < kTile3Out; ++x) {
        if (x < p.columns) hn::Store(relu(hn::Add(y[x], bias)), d, out + x * p.pixel);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
