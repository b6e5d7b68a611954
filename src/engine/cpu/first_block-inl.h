// Block 1, from pixels: residual -> conv 2x2 (3 -> 64) -> 2x2 maximum -> bias -> ReLU, one output row at a time.
//
// A pooling window's four convolutions read 3x3 residual pixels. Its corners are the top-left pixels of cells, where the residual is
// always 0; five pixels T L C R B remain, in order top, left, centre, right, bottom:
//
//     0 T 0     y00 = w01 T + w10 L + w11 C        y01 = w00 T + w10 C + w11 R
//     L C R     y10 = w00 L + w01 C + w11 B        y11 = w00 C + w01 R + w10 B
//     0 B 0
//
// 36 multiply-adds per window and channel instead of 48. The residual is an exact integer; 1/(255 std) and batch norm's scale are
// in the weights. Twelve weight vectors stay in registers along the row; residuals are broadcast from memory.
#if defined(LFM_CPU_FIRST_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_FIRST_BLOCK_INL_H_
#undef LFM_CPU_FIRST_BLOCK_INL_H_
#else
#define LFM_CPU_FIRST_BLOCK_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR float residual(std::uint8_t pixel, std::uint8_t corner) {
  return static_cast<float>(pixel > corner ? pixel - corner : corner - pixel);
}

/// The residual's odd columns in the upper pixel row of a row of cells: out [cells][3].
inline HWY_ATTR void residual_upper(const std::uint8_t* HWY_RESTRICT row, int cells, float* HWY_RESTRICT out) {
  for (int i = 0; i < cells; ++i) {
    for (int c = 0; c < 3; ++c) out[3 * i + c] = residual(row[6 * i + 3 + c], row[6 * i + c]);
  }
}

/// Every column in the lower pixel row of a row of cells: out [2 cells][3].
inline HWY_ATTR void residual_lower(const std::uint8_t* HWY_RESTRICT upper, const std::uint8_t* HWY_RESTRICT lower, int cells,
                                    float* HWY_RESTRICT out) {
  for (int i = 0; i < cells; ++i) {
    for (int c = 0; c < 3; ++c) {
      out[6 * i + c] = residual(lower[6 * i + c], upper[6 * i + c]);
      out[6 * i + 3 + c] = residual(lower[6 * i + 3 + c], upper[6 * i + c]);
    }
  }
}

inline HWY_ATTR void first_block_row(const FirstBlockRow& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  const int cells = p.columns + 1;
  float* top = p.residual;
  float* bottom = top + 3 * cells;
  float* middle = bottom + 3 * cells;
  residual_upper(p.pixels, p.columns, top);
  residual_lower(p.pixels, p.pixels + p.pixel_row, cells, middle);
  residual_upper(p.pixels + 2 * p.pixel_row, p.columns, bottom);

  for (std::size_t oc = 0; oc < 64; oc += kLanes) {
    const float* weights = p.weights + oc / 16 * 12 * 16 + oc % 16;
    Vec w[12];  // [tap 00 01 10 11][channel]
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) w[i] = hn::Load(d, weights + 16 * i);
    const Vec bias = hn::Load(d, p.bias + oc);
    for (int x = 0; x < p.columns; ++x) {
      Vec y00 = zero, y01 = zero, y10 = zero, y11 = zero;
#pragma GCC unroll 3
      for (int c = 0; c < 3; ++c) {
        const Vec t = hn::Set(d, top[3 * x + c]);
        y00 = hn::MulAdd(w[3 + c], t, y00);
        y01 = hn::MulAdd(w[c], t, y01);
        const Vec b = hn::Set(d, bottom[3 * x + c]);
        y10 = hn::MulAdd(w[9 + c], b, y10);
        y11 = hn::MulAdd(w[6 + c], b, y11);
        const Vec centre = hn::Set(d, middle[6 * x + 3 + c]);
        y00 = hn::MulAdd(w[9 + c], centre, y00);
        y01 = hn::MulAdd(w[6 + c], centre, y01);
        y10 = hn::MulAdd(w[3 + c], centre, y10);
        y11 = hn::MulAdd(w[c], centre, y11);
        const Vec left = hn::Set(d, middle[6 * x + c]);
        y00 = hn::MulAdd(w[6 + c], left, y00);
        y10 = hn::MulAdd(w[c], left, y10);
        const Vec right = hn::Set(d, middle[6 * x + 6 + c]);
        y01 = hn::MulAdd(w[9 + c], right, y01);
        y11 = hn::MulAdd(w[3 + c], right, y11);
      }
      const Vec largest = hn::Max(hn::Max(y00, y01), hn::Max(y10, y11));
      hn::Store(hn::Max(hn::Add(largest, bias), zero), d, p.out + 64 * x + oc);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
