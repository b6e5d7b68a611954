// padded_conv_backward_weight: grad_w[ky,kx][c][o] = sum over n, y, x of x[s y+ky-p][s x+kx-p][c] g[y][x][o], with s
// the stride and p = kernel/2, zeros beyond the border.
//   input [n][h][w][ic]   grad_output [n][oh][ow][oc]   ->   grad_weight [kernel*kernel][ic][oc]
// GEMM over positions (position_gemm.cuh): rows = (tap, c), columns = oc; a slice of positions per block
//   grid   (rows/128, oc/kColumns, slices)    block 256 threads; 64 columns of 3x3 windows, whose places take
//          registers, and where oc is no multiple of 128
// The four channels that a thread brings belong to one tap: it walks along the positions of the output and the places
// in the input that its tap sees there, and brings zeros where they lie outside. Of 64 channels a tile has two taps; in
// place of rows behind the last one it repeats that, and does not store them. Slices are added in order by
// sum_partials().
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/padded_conv_weight.h"
#include "kernels/partial_sums.h"
#include "kernels/position_gemm.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

// Steps and gaps are in the input: of a position, and from the end of a row, or of an image, to the next. They come
// computed, or each thread would keep them in registers.
struct WeightGemm {
  int rows, positions, slice;
  int h, w, ic, oc;
  int out_h, out_w, stride;
  int wide, high;  // what a row of the output, and the output, spans of the input
  unsigned step, row_gap, image_gap;
};

/// What a row of the GEMM, with the three behind it, sees of the positions from `first` on. kKernel: the convolution's.
template <int kKernel>
class WindowCursor {
 public:
  __device__ __forceinline__ WindowCursor(const float* input, const WeightGemm& gemm, int row, int first)
      : s_(gemm), input_(input) {
    const int tap = row / s_.ic, dx = tap % kKernel - kKernel / 2, dy = tap / kKernel - kKernel / 2;
    outside_x_ = dx < 0 ? 0 : dx > 0 ? s_.w - 1 : -1;
    outside_y_ = dy < 0 ? 0 : dy > 0 ? s_.h - 1 : -1;
    x_ = first % s_.out_w * s_.stride, y_ = first / s_.out_w % s_.out_h * s_.stride;
    const int image = first / s_.out_w / s_.out_h;
    at_ = static_cast<unsigned>(((image * s_.h + y_ + dy) * s_.w + x_ + dx) * s_.ic + row % s_.ic);
  }

  __device__ __forceinline__ float4 load() const {
    float4 four{};
    if (kKernel == 1 || (x_ != outside_x_ && y_ != outside_y_)) four = load4(input_ + at_);
    return four;
  }
  __device__ __forceinline__ void advance(int positions) {
    x_ += positions * s_.stride;
    at_ += static_cast<unsigned>(positions) * s_.step;
    while (x_ >= s_.wide) {
      x_ -= s_.wide;
      y_ += s_.stride;
      at_ += s_.row_gap;
      if (y_ == s_.high) {
        y_ = 0;
        at_ += s_.image_gap;
      }
    }
  }

 private:
  const WeightGemm& s_;
  const float* input_;
  unsigned at_;                // outside the input nothing is read
  int x_, y_;                  // of the window's middle, in the input
  int outside_x_, outside_y_;  // where that is when the tap lies beyond the border: at the first, at the last, never
};

template <int kKernel, int kColumns>
__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    padded_conv_backward_weight_kernel(float* __restrict__ partials, const float* __restrict__ input,
                                       const float* __restrict__ grad_output, WeightGemm s) {
  const int row = block_index() * GemmTile::kRows, column = block_row() * kColumns;
  const int first = block_layer() * s.slice, left = s.positions - first;
  const int positions = left < 0 ? 0 : left < s.slice ? left : s.slice;
  const int own_row = row + slab_column<GemmTile::kRows>();
  const WindowCursor<kKernel> a(input, s, own_row < s.rows ? own_row : s.rows - 4,
                                first + slab_position<GemmTile::kRows>());
  const FlatCursor b(grad_output, first + slab_position<kColumns>(), column + slab_column<kColumns>(), s.oc);
  float acc[GemmTile::kThreadRows][kColumns / 16];
  position_gemm<kColumns>(acc, a, b, positions);
  store_rows<kColumns>(partials + (std::int64_t{block_layer()} * s.rows + row) * s.oc + column, s.oc, s.rows - row,
                       acc);
}

int columns_of(const PaddedConvShape& s) { return s.kernel == 1 && s.oc % 128 == 0 ? 128 : 64; }
std::int64_t positions_of(const PaddedConvShape& s) {
  return static_cast<std::int64_t>(s.n) * ((s.h - 1) / s.stride + 1) * ((s.w - 1) / s.stride + 1);
}
int weight_slices(const PaddedConvShape& s) {
  const int rows = s.kernel * s.kernel * s.ic;
  return position_slices(positions_of(s), static_cast<int>(blocks_for(rows, GemmTile::kRows)) * (s.oc / columns_of(s)));
}

template <int kKernel, int kColumns>
void launch_tiles(float* scratch, const float* input, const float* grad_output, const WeightGemm& gemm, int slices,
                  Stream stream) {
  launch({.kernel = "padded_conv_backward_weight",
          .blocks = {blocks_for(gemm.rows, GemmTile::kRows), static_cast<unsigned>(gemm.oc / kColumns),
                     static_cast<unsigned>(slices)},
          .threads = GemmTile::kThreads},
         stream, padded_conv_backward_weight_kernel<kKernel, kColumns>, scratch, input, grad_output, gemm);
}

}  // namespace

std::size_t padded_conv_backward_weight_scratch(const PaddedConvShape& s) {
  return static_cast<std::size_t>(weight_slices(s)) * s.kernel * s.kernel * s.ic * s.oc;
}

void padded_conv_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_output,
                                 const PaddedConvShape& s, bool accumulate, Stream stream) {
  require(s.n > 0 && s.h > 0 && s.w > 0, "padded_conv_backward_weight: the batch is empty");
  require(s.ic > 0 && s.ic % 64 == 0 && s.oc > 0 && s.oc % 64 == 0,
          "padded_conv_backward_weight: ic and oc must be multiples of 64");
  require((s.kernel == 1 || s.kernel == 3) && (s.stride == 1 || s.stride == 2),
          "padded_conv_backward_weight: windows are 1x1 or 3x3, one or two apart");
  const std::int64_t positions = positions_of(s);
  require(positions <= INT32_MAX - GemmTile::kRows && static_cast<std::int64_t>(s.n) * s.h * s.w <= UINT32_MAX / s.ic,
          "padded_conv_backward_weight: the batch is too large for one launch");
  const int slices = weight_slices(s), rows = s.kernel * s.kernel * s.ic;
  const int out_h = (s.h - 1) / s.stride + 1, out_w = (s.w - 1) / s.stride + 1;
  const int span_x = out_w * s.stride, span_y = out_h * s.stride;
  const WeightGemm gemm{rows,
                        static_cast<int>(positions),
                        static_cast<int>(blocks_for(positions, slices)),
                        s.h,
                        s.w,
                        s.ic,
                        s.oc,
                        out_h,
                        out_w,
                        s.stride,
                        span_x,
                        span_y,
                        static_cast<unsigned>(s.stride * s.ic),
                        static_cast<unsigned>((s.stride * s.w - span_x) * s.ic),
                        static_cast<unsigned>((s.h - span_y) * s.w * s.ic)};
  const auto launch_kernel = s.kernel == 3          ? launch_tiles<3, 64>
                             : columns_of(s) == 128 ? launch_tiles<1, 128>
                                                    : launch_tiles<1, 64>;
  launch_kernel(scratch, input, grad_output, gemm, slices, stream);
  sum_partials(grad_weight, scratch, slices, rows * s.oc, accumulate, stream);
}

}  // namespace lfm::kernels::inline LFM_TARGET
