// Block 1, from pixels: residual -> conv 2x2 (3 -> 64) -> 2x2 maximum -> bias -> ReLU, one output row at a time.
//
// A pooling window's four convolutions read 3x3 residual pixels. Its corners are the top-left pixels of cells, where
// the residual is always 0; five pixels T L C R B remain, in order top, left, centre, right, bottom:
//
//     0 T 0     y00 = w01 T + w10 L + w11 C        y01 = w00 T + w10 C + w11 R
//     L C R     y10 = w00 L + w01 C + w11 B        y11 = w00 C + w01 R + w10 B
//     0 B 0
//
// 36 multiply-adds per window and channel instead of 48. The residual is an exact integer; 1/(255 std) and batch norm's
// scale are in the weights. Twelve weight vectors stay in registers along the row; residuals are broadcast from memory.
//
// That is NPR, from pixels. Any other residual is computed before (residual.h), and all nine of its values are
// multiplied: PlainWindow.
#if defined(LFM_CPU_FIRST_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_FIRST_BLOCK_INL_H_
#undef LFM_CPU_FIRST_BLOCK_INL_H_
#else
#define LFM_CPU_FIRST_BLOCK_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

/// out[i] = |a[i] - b[i]|; count is at least a vector, and the last one overlaps its neighbour.
inline HWY_ATTR void differences(const std::uint8_t* HWY_RESTRICT a, const std::uint8_t* HWY_RESTRICT b, int count,
                                 float* HWY_RESTRICT out) {
  const F32 d;
  const hn::Rebind<std::int32_t, F32> integers;
  const hn::Rebind<std::uint8_t, F32> bytes;
  constexpr int lanes = static_cast<int>(kLanes);
  for (int i = 0;; i = i + 2 * lanes <= count ? i + lanes : count - lanes) {
    const auto x = hn::LoadU(bytes, a + i), y = hn::LoadU(bytes, b + i);
    const auto difference = hn::Sub(hn::Max(x, y), hn::Min(x, y));
    hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(integers, difference)), d, out + i);
    if (i + lanes == count) break;
  }
}

/// The residual of one row of pooling windows, as interleaved r g b. A cell's right pixels lie 3 bytes after its
/// corner: each array is right at the pixels that are read from it, odd columns (top, bottom, right) or even ones
/// (left).
struct WindowResidual {
  float* top;
  float* bottom;
  float* left;
  float* right;
};
inline HWY_ATTR WindowResidual window_residual(const std::uint8_t* pixels, std::size_t pixel_row, int columns,
                                               float* scratch) {
  const int width = 6 * (columns + 1);
  const std::uint8_t* lower = pixels + pixel_row;
  const std::uint8_t* next = lower + pixel_row;
  const WindowResidual r{scratch, scratch + width, scratch + 2 * width, scratch + 3 * width};
  differences(pixels + 3, pixels, width - 3, r.top + 3);
  differences(next + 3, next, width - 3, r.bottom + 3);
  differences(lower, pixels, width, r.left);
  differences(lower + 3, pixels, width - 3, r.right + 3);
  return r;
}

/// The four convolutions of pooling window x. w: [tap 00 01 10 11][channel]. Each adds its taps in that order, so that
/// equal patches give equal bits and the maximum's ties fall as the network's definition says.
HWY_INLINE HWY_ATTR void multiply_window(const Vec* HWY_RESTRICT w, const WindowResidual& residual, int x, Vec& y00,
                                         Vec& y01, Vec& y10, Vec& y11) {
  const F32 d;
  y00 = y01 = y10 = y11 = hn::Zero(d);
#pragma GCC unroll 3
  for (int c = 0; c < 3; ++c) {
    const Vec t = hn::Set(d, residual.top[6 * x + 3 + c]);
    y00 = hn::MulAdd(w[3 + c], t, y00);
    y01 = hn::MulAdd(w[c], t, y01);
    const Vec l = hn::Set(d, residual.left[6 * x + c]);
    y00 = hn::MulAdd(w[6 + c], l, y00);
    y10 = hn::MulAdd(w[c], l, y10);
    const Vec centre = hn::Set(d, residual.right[6 * x + 3 + c]);
    y00 = hn::MulAdd(w[9 + c], centre, y00);
    y01 = hn::MulAdd(w[6 + c], centre, y01);
    y10 = hn::MulAdd(w[3 + c], centre, y10);
    y11 = hn::MulAdd(w[c], centre, y11);
    const Vec r = hn::Set(d, residual.left[6 * x + 6 + c]);
    y01 = hn::MulAdd(w[9 + c], r, y01);
    y11 = hn::MulAdd(w[3 + c], r, y11);
    const Vec b = hn::Set(d, residual.bottom[6 * x + 3 + c]);
    y10 = hn::MulAdd(w[9 + c], b, y10);
    y11 = hn::MulAdd(w[6 + c], b, y11);
  }
}

/// Three rows of a residual, [plain_columns()][3] each.
struct PlainWindow {
  const float* rows[kPlainRows];
};

/// Calls multiply(position of the window's four, tap, value) for every product of pooling window x: every position
/// meets its taps in the order 00 01 10 11, each r g b.
template <typename Multiply>
HWY_INLINE HWY_ATTR void for_products(const PlainWindow& residual, int x, const Multiply& multiply) {
  const F32 d;
#pragma GCC unroll 3
  for (int y = 0; y < kPlainRows; ++y) {
#pragma GCC unroll 3
    for (int column = 0; column < 3; ++column) {
#pragma GCC unroll 3
      for (int c = 0; c < 3; ++c) {
        const Vec value = hn::Set(d, residual.rows[y][6 * x + 3 * column + c]);
#pragma GCC unroll 4
        for (int position = 0; position < 4; ++position) {
          const int down = y - position / 2, right = column - position % 2;
          if (down >= 0 && down < 2 && right >= 0 && right < 2) multiply(position, (2 * down + right) * 3 + c, value);
        }
      }
    }
  }
}

HWY_INLINE HWY_ATTR void multiply_window(const Vec* HWY_RESTRICT w, const PlainWindow& residual, int x, Vec& y00,
                                         Vec& y01, Vec& y10, Vec& y11) {
  const F32 d;
  Vec y[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for_products(residual, x, [&](int position, int tap, const Vec& value) HWY_ATTR {
    y[position] = hn::MulAdd(w[tap], value, y[position]);
  });
  y00 = y[0], y01 = y[1], y10 = y[2], y11 = y[3];
}

/// The residual of a row of pooling windows, of pixels or computed before.
template <typename Window>
HWY_INLINE HWY_ATTR Window window_of(const std::uint8_t* pixels, std::size_t pixel_row, int columns, float* residual) {
  if constexpr (std::is_same_v<Window, WindowResidual>) {
    return window_residual(pixels, pixel_row, columns, residual);
  } else {
    const std::size_t row = std::size_t{3} * plain_columns(columns);
    return {{residual, residual + row, residual + 2 * row}};
  }
}

template <typename Arithmetic, typename Window>
LFM_CPU_ATTR void first_block_row(const FirstBlockRow& p) {
  const F32 d;
  const Window residual = window_of<Window>(p.pixels, p.pixel_row, p.columns, p.residual);
  for (std::size_t oc = 0; oc < 64; oc += kLanes) {
    const float* weights = p.weights + oc / 16 * 12 * 16 + oc % 16;
    Vec w[12];
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) w[i] = hn::Load(d, weights + 16 * i);
    const Vec bias = hn::Load(d, p.bias + oc);
    for (int x = 0; x < p.columns; ++x) {
      Vec y00, y01, y10, y11;
      multiply_window(w, residual, x, y00, y01, y10, y11);
      const Vec largest = hn::Max(hn::Max(y00, y01), hn::Max(y10, y11));
      Arithmetic::Store(relu(hn::Add(largest, bias)), p.out + x * Arithmetic::kSlabFloats, oc);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
