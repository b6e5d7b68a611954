// Winograd F(4x4, 2x2) for training, on the points 0, 1, -1, 2 and infinity: 25 products give 16 outputs of a
// convolution that direct arithmetic pays with 64, and the same 25 serve both of its gradients.
//
//     forward           Y  = A^T [U . V] A     V = B^T d B,  U = G w G^T     products summed over input channels
//     weight gradient   dw = G^T [V . P] G     P = A dY A^T                  products summed over tiles
//     input gradient    dd = B [U . P] B^T                                   products summed over output channels
//
// since Y is linear in U and in V. Rows of B^T carry factors 2 and 6 that G takes back, which leaves few
// multiplications: with e = d3 - d1,
//
//     B^T d:  v0 = (d0 - d2) + e/2         A^T m:  y0 = m0 + m1 + m2 +   m3          G w:  w0
//             v1 = d1 + (d2 - d3)/2                y1 =      m1 - m2 + 2 m3                w0 + w1
//             v2 = (d2 - d1) - e/3                 y2 =      m1 + m2 + 4 m3               (w0 - w1)/2
//             v3 = e                               y3 =      m1 - m2 + 8 m3 + m4          (w0 + 2 w1)/6
//             v4 = (d4 - d2) - 2 e                                                         w1
//
//     B v:    E = v0/2 + v3 - 2 v4 - v2/3   (what multiplies e)
//             d0 = v0   d1 = v1 - v2 - E   d2 = v1/2 - v0 + v2 - v4   d3 = E - v1/2   d4 = v4
//
// Rounding costs about 2e-6 of the largest output over 128 channels. A transform runs over columns into a small array
// in L1, then over its rows; its vectors are channels.
#if defined(LFM_CPU_WINOGRAD4_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_WINOGRAD4_INL_H_
#undef LFM_CPU_WINOGRAD4_INL_H_
#else
#define LFM_CPU_WINOGRAD4_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

/// out[0, stride, ... 4 stride] = B^T d.
HWY_INLINE HWY_ATTR void input_side(Vec d0, Vec d1, Vec d2, Vec d3, Vec d4, float* HWY_RESTRICT out,
                                    std::size_t stride) {
  const F32 d;
  const Vec half = hn::Set(d, 0.5f);
  const Vec e = hn::Sub(d3, d1);
  hn::Store(hn::MulAdd(half, e, hn::Sub(d0, d2)), d, out);
  hn::Store(hn::MulAdd(half, hn::Sub(d2, d3), d1), d, out + stride);
  hn::Store(hn::NegMulAdd(hn::Set(d, 1.0f / 3), e, hn::Sub(d2, d1)), d, out + 2 * stride);
  hn::Store(e, d, out + 3 * stride);
  hn::Store(hn::NegMulAdd(hn::Set(d, 2.0f), e, hn::Sub(d4, d2)), d, out + 4 * stride);
}

/// y[0..3] = A^T (m[0, stride, ... 4 stride]).
HWY_INLINE HWY_ATTR void output_side(const float* HWY_RESTRICT m, std::size_t stride, Vec& y0, Vec& y1, Vec& y2,
                                     Vec& y3) {
  const F32 d;
  const Vec m1 = hn::Load(d, m + stride), m2 = hn::Load(d, m + 2 * stride), m3 = hn::Load(d, m + 3 * stride);
  const Vec sum = hn::Add(m1, m2), difference = hn::Sub(m1, m2);
  y0 = hn::Add(hn::Add(hn::Load(d, m), m3), sum);
  y1 = hn::MulAdd(hn::Set(d, 2.0f), m3, difference);
  y2 = hn::MulAdd(hn::Set(d, 4.0f), m3, sum);
  y3 = hn::MulAdd(hn::Set(d, 8.0f), m3, hn::Add(difference, hn::Load(d, m + 4 * stride)));
}

/// out[0, stride, ... 4 stride] = A y.
HWY_INLINE HWY_ATTR void grad_output_side(Vec y0, Vec y1, Vec y2, Vec y3, float* HWY_RESTRICT out, std::size_t stride) {
  const F32 d;
  const Vec two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f);
  const Vec even = hn::Add(y0, y2), odd = hn::Add(y1, y3);
  hn::Store(y0, d, out);
  hn::Store(hn::Add(even, odd), d, out + stride);
  hn::Store(hn::Sub(even, odd), d, out + 2 * stride);
  hn::Store(hn::MulAdd(two, hn::MulAdd(four, y3, y1), hn::MulAdd(four, y2, y0)), d, out + 3 * stride);
  hn::Store(y3, d, out + 4 * stride);
}

/// d[0..4] = B (v[0, stride, ... 4 stride]).
HWY_INLINE HWY_ATTR void grad_input_side(const float* HWY_RESTRICT v, std::size_t stride, Vec* HWY_RESTRICT out) {
  const F32 d;
  const Vec half = hn::Set(d, 0.5f);
  const Vec v0 = hn::Load(d, v), v1 = hn::Load(d, v + stride), v2 = hn::Load(d, v + 2 * stride);
  const Vec v3 = hn::Load(d, v + 3 * stride), v4 = hn::Load(d, v + 4 * stride);
  const Vec e = hn::NegMulAdd(hn::Set(d, 1.0f / 3), v2, hn::NegMulAdd(hn::Set(d, 2.0f), v4, hn::MulAdd(half, v0, v3)));
  out[0] = v0;
  out[1] = hn::Sub(hn::Sub(v1, v2), e);
  out[2] = hn::Add(hn::MulAdd(half, v1, hn::Sub(v2, v0)), hn::Neg(v4));
  out[3] = hn::NegMulAdd(half, v1, e);
  out[4] = v4;
}

/// kWhole: the tile lies inside the map.
template <bool kWhole>
HWY_ATTR void input_channels(const InputTile& p, int c) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  constexpr std::size_t line = kInputSide * kLanes;
  HWY_ALIGN float columns[kInputSide * line];
  const Vec scale = hn::Load(d, p.norm.scale + c), shift = hn::Load(d, p.norm.shift + c);
  for (int x = 0; x < kInputSide; ++x) {
    const float* in = p.in + c + (kWhole ? x : std::min(x, p.columns - 1)) * p.pixel;
    const auto load = [&](int y) HWY_ATTR {
      const int row = kWhole ? y : std::min(y, p.rows - 1);
      return hn::Max(zero, hn::MulAdd(scale, hn::Load(d, in + row * p.row), shift));
    };
    input_side(load(0), load(1), load(2), load(3), load(4), columns + x * kLanes, line);
  }
  float* v = p.v + (c / kSlab) * p.slab + c % kSlab;
  for (int y = 0; y < kInputSide; ++y) {
    const float* row = columns + y * line;
    input_side(hn::Load(d, row), hn::Load(d, row + kLanes), hn::Load(d, row + 2 * kLanes),
               hn::Load(d, row + 3 * kLanes), hn::Load(d, row + 4 * kLanes), v + y * kInputSide * p.product, p.product);
  }
}

inline HWY_ATTR void input_tile(const InputTile& p) {
  const bool whole = p.rows == kInputSide && p.columns == kInputSide;
  for (int c = 0; c < p.channels; c += static_cast<int>(kLanes)) {
    whole ? input_channels<true>(p, c) : input_channels<false>(p, c);
  }
}

/// Of two rows of outputs the value at each 2x2's largest sign * y; the first of equals.
HWY_INLINE HWY_ATTR void pool_pair(Vec a0, Vec a1, Vec b0, Vec b1, Vec sign, float* HWY_RESTRICT out) {
  Vec best = a0, key = hn::Mul(sign, a0);
  const auto contend = [&](Vec y) HWY_ATTR {
    const Vec other = hn::Mul(sign, y);
    best = hn::IfThenElse(hn::Gt(other, key), y, best);
    key = hn::Max(other, key);
  };
  contend(a1);
  contend(b0);
  contend(b1);
  hn::Store(best, F32(), out);
}

/// kWhole: the tile lies inside the map.
template <bool kWhole>
HWY_ATTR void output_channels(const OutputTile& p, std::size_t c) {
  const F32 d;
  constexpr std::size_t line = kInputSide * kLanes;
  HWY_ALIGN float rows[kOutputSide * line];
  for (int x = 0; x < kInputSide; ++x) {
    Vec y0, y1, y2, y3;
    output_side(p.m + c + x * p.product, kInputSide * p.product, y0, y1, y2, y3);
    float* out = rows + x * kLanes;
    hn::Store(y0, d, out);
    hn::Store(y1, d, out + line);
    hn::Store(y2, d, out + 2 * line);
    hn::Store(y3, d, out + 3 * line);
  }
  const Vec centre = hn::Load(d, p.centre + c), sign = hn::Load(d, p.sign + c);
  Vec sum = hn::Load(d, p.sum + c), square = hn::Load(d, p.square + c);
  const int height = kWhole ? kOutputSide : p.rows, width = kWhole ? kOutputSide : p.columns;
  for (int y = 0; y < height; y += 2) {
    Vec q[2][kOutputSide];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      if (!kWhole && y + i >= height) break;
      output_side(rows + (y + i) * line, kLanes, q[i][0], q[i][1], q[i][2], q[i][3]);
      float* out = p.out + (y + i) * p.row + c;
#pragma GCC unroll 4
      for (int x = 0; x < kOutputSide; ++x) {
        if (!kWhole && x >= width) break;
        q[i][x] = hn::Sub(q[i][x], centre);
        hn::Store(q[i][x], d, out + x * p.pixel);
        sum = hn::Add(sum, q[i][x]);
        square = hn::MulAdd(q[i][x], q[i][x], square);
      }
    }
    if (p.pooled == nullptr || y + 1 >= height) continue;
    float* pooled = p.pooled + y / 2 * p.pooled_row + c;
    if (width > 1) pool_pair(q[0][0], q[0][1], q[1][0], q[1][1], sign, pooled);
    if (width > 3) pool_pair(q[0][2], q[0][3], q[1][2], q[1][3], sign, pooled + p.pixel);
  }
  hn::Store(sum, d, p.sum + c);
  hn::Store(square, d, p.square + c);
}

inline HWY_ATTR void output_tile(const OutputTile& p) {
  const bool whole = p.rows == kOutputSide && p.columns == kOutputSide;
  for (std::size_t c = 0; c < kSlab; c += kLanes) whole ? output_channels<true>(p, c) : output_channels<false>(p, c);
}

/// grad at the 2x2's largest sign * y, zero at the other three.
HWY_INLINE HWY_ATTR void scatter_pair(Vec a0, Vec a1, Vec b0, Vec b1, Vec sign, Vec grad, Vec* HWY_RESTRICT a,
                                      Vec* HWY_RESTRICT b) {
  const Vec k0 = hn::Mul(sign, a0), k1 = hn::Mul(sign, a1), k2 = hn::Mul(sign, b0), k3 = hn::Mul(sign, b1);
  const auto right = hn::Gt(k1, k0), lower_right = hn::Gt(k3, k2);
  const auto lower = hn::Gt(hn::Max(k2, k3), hn::Max(k0, k1));
  const Vec bottom = hn::IfThenElseZero(lower, grad), top = hn::IfThenZeroElse(lower, grad);
  a[0] = hn::IfThenZeroElse(right, top);
  a[1] = hn::IfThenElseZero(right, top);
  b[0] = hn::IfThenZeroElse(lower_right, bottom);
  b[1] = hn::IfThenElseZero(lower_right, bottom);
}

/// kWhole: the tile lies inside the map. kPool: grad belongs to 2x2 windows.
template <bool kWhole, bool kPool>
HWY_ATTR void grad_output_channels(const GradOutputTile& p, std::size_t c) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  constexpr std::size_t line = kOutputSide * kLanes;
  HWY_ALIGN float columns[kInputSide * line];  // A dY
  const Vec gain = hn::Load(d, p.gain + c), offset = hn::Load(d, p.offset + c), slope = hn::Load(d, p.slope + c);
  const Vec sign = hn::Load(d, p.sign + c);
#pragma GCC unroll 2
  for (int x = 0; x < kOutputSide; x += 2) {
    Vec y[2][kOutputSide], grad[2][kOutputSide];  // [column][row]
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const int column = i / 4, r = i % 4;
      const bool inside = kWhole || (r < p.rows && x + column < p.columns);
      y[column][r] = inside ? hn::Load(d, p.out + r * p.row + (x + column) * p.pixel + c) : zero;
      grad[column][r] = !kPool && inside ? hn::Load(d, p.grad + r * p.grad_row + (x + column) * p.pixel + c) : zero;
    }
    if (kPool) {
#pragma GCC unroll 2
      for (int r = 0; r < kOutputSide; r += 2) {
        if (!kWhole && (r + 1 >= p.rows || x + 1 >= p.columns)) continue;
        const Vec g = hn::Load(d, p.grad + r / 2 * p.grad_row + x / 2 * p.pixel + c);
        Vec top[2], bottom[2];
        scatter_pair(y[0][r], y[1][r], y[0][r + 1], y[1][r + 1], sign, g, top, bottom);
        grad[0][r] = top[0], grad[1][r] = top[1];
        grad[0][r + 1] = bottom[0], grad[1][r + 1] = bottom[1];
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const int column = i / 4, r = i % 4;
      const Vec value = hn::MulAdd(gain, grad[column][r], hn::MulAdd(slope, y[column][r], offset));
      grad[column][r] = kWhole || (r < p.rows && x + column < p.columns) ? value : zero;
    }
    grad_output_side(grad[0][0], grad[0][1], grad[0][2], grad[0][3], columns + x * kLanes, line);
    grad_output_side(grad[1][0], grad[1][1], grad[1][2], grad[1][3], columns + (x + 1) * kLanes, line);
  }
  for (int r = 0; r < kInputSide; ++r) {
    const float* row = columns + r * line;
    grad_output_side(hn::Load(d, row), hn::Load(d, row + kLanes), hn::Load(d, row + 2 * kLanes),
                     hn::Load(d, row + 3 * kLanes), p.p + r * kInputSide * p.product + c, p.product);
  }
}

inline HWY_ATTR void grad_output_tile(const GradOutputTile& p) {
  const bool whole = p.rows == kOutputSide && p.columns == kOutputSide;
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    if (p.pool) {
      whole ? grad_output_channels<true, true>(p, c) : grad_output_channels<false, true>(p, c);
    } else {
      whole ? grad_output_channels<true, false>(p, c) : grad_output_channels<false, false>(p, c);
    }
  }
}

inline HWY_ATTR void grad_input_tile(const GradInputTile& p) {
  const F32 d;
  constexpr std::size_t line = kInputSide * kLanes;
  HWY_ALIGN float columns[kInputSide * line];
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    Vec out[kInputSide];
    for (int x = 0; x < kInputSide; ++x) {
      grad_input_side(p.v + x * p.product + c, kInputSide * p.product, out);
      for (int y = 0; y < kInputSide; ++y) hn::Store(out[y], d, columns + y * line + x * kLanes);
    }
    for (int y = 0; y < p.rows; ++y) {
      grad_input_side(columns + y * line, kLanes, out);
      float* grad = p.grad + y * p.row + c;
      const bool shared_row = y == 0 && p.above;
#pragma GCC unroll 5
      for (int x = 0; x < kInputSide; ++x) {
        if (x >= p.columns) break;
        float* pixel = grad + x * p.pixel;
        const bool shared = shared_row || (x == 0 && p.left);
        hn::Store(shared ? hn::Add(out[x], hn::Load(d, pixel)) : out[x], d, pixel);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
