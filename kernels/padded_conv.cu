// padded_conv: y[y][x][o] = bias[o] + shortcut[y][x][o] + sum over ky, kx, c of x[s y+ky-p][s x+kx-p][c]
// w[ky,kx][c][o], with s the stride and p = kernel/2, zeros beyond the border; then ReLU.
//   input [n][h][w][ic]   weight [kernel*kernel][ic][oc]   bias [oc]   shortcut [n][oh][ow][oc]   ->
//   output [n][oh][ow][oc], or [n][oc][oh*ow] for pooling
// Implicit GEMM (implicit_gemm.cuh): rows = positions of the output, columns = oc, depth = taps * ic.
//   grid   (rows/128, oc/kColumns)    block 256 threads, 8 x kColumns/16 outputs each; 64 columns where oc is no
//          multiple of 128, and for pooling, whose transposed stores take registers
// A thread brings its row's values tap by tap: the three taps of a kernel row lie side by side in memory, and nine bits
// tell which of the taps are inside. Rows beyond the end repeat the last one and are not stored. Channels are
// contiguous: eight lanes read 128 bytes of a shortcut, and store as many of an output, side by side. Where the output
// is the shortcut, each value is read and then written by one thread.
#include <limits>

#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"
#include "kernels/padded_conv.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

struct ConvShape {
  int rows;  // of the GEMM
  int h, w, ic, oc;
  int out_h, out_w;
  int stride;
};

/// The values of a row of A, a slab at a time: this thread's four channels of each.
template <int kKernel>
class WindowValues {
 public:
  __device__ __forceinline__ WindowValues(const float* input, int row, const ConvShape& shape)
      : s_(shape), input_(input), left_(shape.ic) {
    constexpr int kPadding = kKernel / 2, kTaps = kKernel * kKernel;
    const int y = row / s_.out_w % s_.out_h * s_.stride - kPadding, x = row % s_.out_w * s_.stride - kPadding;
    const std::int64_t image = row / (s_.out_h * s_.out_w);
    at_ = static_cast<unsigned>(((image * s_.h + y) * s_.w + x) * s_.ic + gemm_loaded_channel());
    UNROLL
    for (int tap = 0; tap < kTaps; ++tap) {
      const int ty = y + tap / kKernel, tx = x + tap % kKernel;
      bits_ |= (ty >= 0 && ty < s_.h && tx >= 0 && tx < s_.w ? 1u : 0u) << tap;
      bits_ |= (tap % kKernel + 1 == kKernel ? 1u : 0u) << (kTaps + tap);
    }
  }

  __device__ __forceinline__ float4 next() {
    if constexpr (kKernel > 1) {
      if (left_ == 0) {
        left_ = s_.ic;
        if ((bits_ >> (kKernel * kKernel) & 1u) != 0) at_ += (s_.w - kKernel) * s_.ic;
        bits_ >>= 1;
      }
      left_ -= GemmTile::kDepth;
    }
    float4 four{};
    if (kKernel == 1 || (bits_ & 1u) != 0) four = load4(input_ + at_);
    at_ += GemmTile::kDepth;
    return four;
  }

 private:
  const ConvShape& s_;
  const float* input_;
  unsigned at_;        // of the next, from the first on: nothing is read where it lies outside
  int left_;           // channels of the present tap
  unsigned bits_ = 0;  // of each tap from the present one on, whether it is inside; then, whether it ends a kernel row
};

__device__ __forceinline__ float at_least(float least, float v) { return v < least ? least : v; }  // keeps NaN

template <int kKernel, int kColumns, bool kChannelsFirst>
__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    padded_conv_kernel(float* output, const float* __restrict__ input, const float* __restrict__ weight,
                       const float* __restrict__ bias, const float* shortcut, ConvShape s, float least) {
  const int first_row = block_index() * GemmTile::kRows, first_column = block_row() * kColumns;
  const int loaded = first_row + gemm_loaded_row();
  float acc[GemmTile::kThreadRows][kColumns / 16];
  WindowValues<kKernel> values(input, loaded < s.rows ? loaded : s.rows - 1, s);
  gemm_of_rows<kColumns>(
      acc, [&](int) { return values.next(); }, weight + first_column, kKernel * kKernel * s.ic, s.oc);

  const GemmPosition<kColumns> own;
  const int row = first_row + own.row, column = first_column + own.column;
  const auto row_of = [&](int i) { return row + i / 4 * 16 + i % 4; };
  UNROLL
  for (int cg = 0; cg < kColumns / 64; ++cg) {
    const auto place_of = [&](int i) { return std::int64_t{row_of(i)} * s.oc + column + 32 * cg; };
    const float4 b = load4(bias + column + 32 * cg);
    UNROLL
    for (int rg = 0; rg < GemmTile::kThreadRows; rg += 4) {
      float4 add[4] = {};
      if (shortcut) {  // asked for together
        UNROLL
        for (int i = 0; i < 4; ++i) {
          if (row_of(rg + i) < s.rows) add[i] = load4(shortcut + place_of(rg + i));
        }
      }
      UNROLL
      for (int i = 0; i < 4; ++i) {
        if (row_of(rg + i) >= s.rows) break;
        float* four = &acc[rg + i][4 * cg];
        four[0] = at_least(least, four[0] + b.x + add[i].x);
        four[1] = at_least(least, four[1] + b.y + add[i].y);
        four[2] = at_least(least, four[2] + b.z + add[i].z);
        four[3] = at_least(least, four[3] + b.w + add[i].w);
        if constexpr (!kChannelsFirst) store4(output + place_of(rg + i), {four[0], four[1], four[2], four[3]});
      }
    }
  }
  if constexpr (kChannelsFirst) {
    store_channels_first<kColumns>(output, s.oc, s.out_h * s.out_w, s.rows, first_row, first_column, acc);
  }
}

template <int kKernel, int kColumns, bool kChannelsFirst>
void launch_tiles(const PaddedConv<float>& c, const ConvShape& shape, Stream stream) {
  launch({.kernel = "padded_conv",
          .blocks = {blocks_for(shape.rows, GemmTile::kRows), static_cast<unsigned>(c.oc / kColumns)},
          .threads = GemmTile::kThreads},
         stream, padded_conv_kernel<kKernel, kColumns, kChannelsFirst>, kChannelsFirst ? c.maps : c.output, c.input,
         c.weight, c.bias, c.shortcut, shape, c.relu ? 0.0f : -std::numeric_limits<float>::infinity());
}

}  // namespace

void padded_conv(const PaddedConv<float>& c, Stream stream) {
  require(c.n > 0 && c.h > 0 && c.w > 0, "padded_conv: the batch is empty");
  require(c.ic > 0 && c.ic % GemmTile::kDepth == 0 && c.oc > 0 && c.oc % 64 == 0,
          "padded_conv: ic must be a multiple of 8, oc of 64");
  require((c.kernel == 1 || c.kernel == 3) && (c.stride == 1 || c.stride == 2),
          "padded_conv: windows are 1x1 or 3x3, one or two apart");
  const int out_h = (c.h - 1) / c.stride + 1, out_w = (c.w - 1) / c.stride + 1;
  const std::int64_t rows = static_cast<std::int64_t>(c.n) * out_h * out_w;
  require(rows <= INT32_MAX - GemmTile::kRows && static_cast<std::int64_t>(c.n) * c.h * c.w <= UINT32_MAX / c.ic,
          "padded_conv: the batch is too large for one launch");
  const ConvShape shape{static_cast<int>(rows), c.h, c.w, c.ic, c.oc, out_h, out_w, c.stride};
  const bool wide = c.oc % 128 == 0;
  if (c.maps) {
    require(c.kernel == 1, "padded_conv: maps for pooling are of 1x1 windows");
    return launch_tiles<1, 64, true>(c, shape, stream);
  }
  if (c.kernel == 1) return (wide ? launch_tiles<1, 128, false> : launch_tiles<1, 64, false>)(c, shape, stream);
  (wide ? launch_tiles<3, 128, false> : launch_tiles<3, 64, false>)(c, shape, stream);
}

}  // namespace lfm::kernels::inline LFM_TARGET
