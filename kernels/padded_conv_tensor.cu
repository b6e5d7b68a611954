// padded_conv_tensor: padded_conv on tensor cores, in FP16, BF16 or TF32 with FP32 sums.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   shortcut [n][oh][ow][oc]   ->
//   output [n][oh][ow][oc], or maps [n][oc][oh*ow] in FP32
// Implicit GEMM: rows = positions of the output, columns = oc, depth = taps * ic, a tap after the other.
//   grid   (rows/128, oc/kColumns)    block 128 threads, 128 rows x kColumns columns, 128 or 64
//   warp   of 128 columns 64 rows x 64 columns, 4 x 8 mma; of 64 columns 32 rows x 64 columns, 2 x 8 mma
//   shared a ring of three stages, each 64 bytes of one tap's channels of 128 positions and of the columns, both as
//          tensor_layout.h lays a stage of weights; two of them are on their way
// A thread copies the same chunk of four positions, 32 apart: where a position's first tap lies, and nine bits that
// tell which of its taps are inside, are computed once; what lies outside is zeros, and not read. Rows beyond the end
// repeat the last one and are not stored. Channels stand in the order of channel_of_column, so a thread stores 16
// bytes and four of them 64 bytes side by side. Sums are taken in a fixed order: the same bits in every run.
#include "kernels/padded_conv_tensor.h"
#include "kernels/tensor_rows.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kRows = PaddedConvTile::kRows, kTilesN = 8, kMaxKernel = 3;
constexpr int kLeftChunks = kRows * ConvTile::kSlabChunks;
constexpr int kCopies = kLeftChunks / kTensorThreads, kCopyDistance = kRows / kCopies;  // positions of a thread

struct ConvShape {
  int rows;  // of the GEMM
  int h, w, ic, oc;
  int out_h, out_w;
  int kernel, stride;
};

/// This thread's chunks of the input, a stage after the other.
template <typename T>
class WindowCopy {
 public:
  __device__ __forceinline__ WindowCopy(const T* input, int first_row, const ConvShape& shape)
      : s_(shape), input_(input) {
    const int padding = s_.kernel / 2, chunk = thread_index() % ConvTile::kSlabChunks;
    to_ = weight_chunk(thread_index() / ConvTile::kSlabChunks, chunk);
    UNROLL
    for (int i = 0; i < kCopies; ++i) {
      const int wanted = first_row + thread_index() / ConvTile::kSlabChunks + i * kCopyDistance;
      const int row = wanted < s_.rows ? wanted : s_.rows - 1;
      const int y = row / s_.out_w % s_.out_h * s_.stride - padding, x = row % s_.out_w * s_.stride - padding;
      const std::int64_t image = row / (s_.out_h * s_.out_w);
      from_[i] = static_cast<unsigned>(((image * s_.h + y) * s_.w + x) * s_.ic + chunk * kPerChunk<T>);
      inside_[i] = 0;
      UNROLL
      for (int tap = 0; tap < kMaxKernel * kMaxKernel; ++tap) {
        const int ty = tap / kMaxKernel, tx = tap % kMaxKernel;
        if (ty >= s_.kernel || tx >= s_.kernel) continue;
        const bool inside = y + ty >= 0 && y + ty < s_.h && x + tx >= 0 && x + tx < s_.w;
        inside_[i] |= (inside ? 1u : 0u) << (ty * s_.kernel + tx);
      }
    }
  }

  template <typename Stage>
  __device__ __forceinline__ void copy(Stage& stage) {
    // Unrolled on every architecture: arrays of registers have no run-time index.
    UNROLL
    for (int i = 0; i < kCopies; ++i) {
      const bool inside = (inside_[i] >> tap_ & 1u) != 0;
      copy_async(&stage[to_ + i * kCopyDistance * ConvTile::kSlabChunks],
                 input_ + (inside ? from_[i] + static_cast<unsigned>(further_ + channel_) : 0u), inside);
    }
    channel_ += kSlab<T>;
    if (channel_ < s_.ic) return;
    channel_ = 0;
    ++tap_;
    further_ = (tap_ / s_.kernel * s_.w + tap_ % s_.kernel) * s_.ic;
  }

 private:
  const ConvShape& s_;
  const T* input_;
  int to_;
  unsigned from_[kCopies], inside_[kCopies];  // of each position
  int tap_ = 0, further_ = 0, channel_ = 0;   // of the next stage; how far its tap lies behind the first
};

template <typename T, int kColumns, bool kMaps>
__global__ void __launch_bounds__(kTensorThreads, 2)
    padded_conv_tensor_kernel(T* output, const T* __restrict__ input, const Chunk* __restrict__ weight,
                              const float* __restrict__ bias, const T* shortcut, float* __restrict__ maps, ConvShape s,
                              bool has_relu) {
  constexpr int kWarpsAcross = kColumns / (8 * kTilesN), kWarpRows = kRows * kWarpsAcross * kWarp / kTensorThreads;
  constexpr int kTilesM = kWarpRows / 16, kRightChunks = kColumns * ConvTile::kSlabChunks;
  SHARED_ARRAY(Chunk, left, kStages, kLeftChunks);
  SHARED_ARRAY(Chunk, right, kStages, kRightChunks);
  const int first_row = block_index() * kRows, first_column = block_row() * kColumns;
  const int warp_row = warp_index() / kWarpsAcross * kWarpRows, warp_column = warp_index() % kWarpsAcross * 8 * kTilesN;
  const int stages = s.kernel * s.kernel * (s.ic / kSlab<T>);
  float acc[kTilesM][kTilesN][4];
  WindowCopy<T> copy(input, first_row, s);
  const Chunk* columns = weight + std::int64_t{block_row()} * stages * kRightChunks + thread_index();
  multiply_ring<T>(acc, left, right, stages, warp_row, warp_column, [&](int slot, int stage) {
    copy.copy(left[slot]);
    UNROLL_COPIES
    for (int i = 0; i < kRightChunks; i += kTensorThreads) {
      copy_async(&right[slot][i + thread_index()], columns + std::int64_t{stage} * kRightChunks + i, true);
    }
  });

  constexpr int kMmas = kPerChunk<T> / 2;  // that fill a chunk
  const int row = first_row + warp_row + lane_index() / 4, area = s.out_h * s.out_w;
  const int channel = first_column + warp_column + lane_index() % 4 * kPerChunk<T>;
  UNROLL
  for (int g = 0; g < kTilesN / kMmas; ++g) {
    const int own_channel = channel + g * 8 * kMmas;
    float b[kPerChunk<T>];
    UNROLL
    for (int i = 0; i < kPerChunk<T>; i += 4) {
      const float4 four = load4(bias + own_channel + i);
      b[i] = four.x, b[i + 1] = four.y, b[i + 2] = four.z, b[i + 3] = four.w;
    }
    const auto row_of = [&](int pair) { return row + 8 * pair; };  // of the rows of all mma, 8 apart
    const auto place_of = [&](int pair) { return std::int64_t{row_of(pair)} * s.oc + own_channel; };
    Chunk add[2 * kTilesM] = {};
    if (shortcut) {  // all asked for together
      UNROLL
      for (int pair = 0; pair < 2 * kTilesM; ++pair) {
        if (row_of(pair) < s.rows) add[pair] = load_chunk(shortcut + place_of(pair));
      }
    }
    UNROLL
    for (int pair = 0; pair < 2 * kTilesM; ++pair) {
      if (row_of(pair) >= s.rows) continue;
      Chunk chunk;
      UNROLL
      for (int i = 0; i < 4; ++i) {
        float v[2];
        decode<T>(v, add[pair].word[i]);
        UNROLL
        for (int j = 0; j < kPerWord<T>; ++j) {
          const int c = i * kPerWord<T> + j;  // of the chunk's channels
          v[j] += acc[pair / 2][g * kMmas + c / 2][pair % 2 * 2 + c % 2] + b[c];
          if (has_relu) v[j] = relu(v[j]);
          if constexpr (kMaps) {
            maps[(std::int64_t{row_of(pair)} / area * s.oc + own_channel + c) * area + row_of(pair) % area] = v[j];
          }
        }
        chunk.word[i] = encode<T>(v);
      }
      if constexpr (!kMaps) store_chunk(output + place_of(pair), chunk);
    }
  }
}

template <typename T, int kColumns, bool kMaps>
void launch_tiles(const PaddedConv<T>& c, const ConvShape& shape, Stream stream) {
  launch({.kernel = "padded_conv_tensor",
          .blocks = {blocks_for(shape.rows, kRows), static_cast<unsigned>(c.oc / kColumns)},
          .threads = kTensorThreads},
         stream, padded_conv_tensor_kernel<T, kColumns, kMaps>, c.output, c.input,
         reinterpret_cast<const Chunk*>(c.weight), c.bias, c.shortcut, c.maps, shape, c.relu);
}

}  // namespace

template <typename T>
void padded_conv_tensor(const PaddedConv<T>& c, Stream stream) {
  require(c.n > 0 && c.h > 0 && c.w > 0, "padded_conv_tensor: the batch is empty");
  require(c.ic > 0 && c.ic % kSlab<T> == 0 && c.oc > 0 && c.oc % 64 == 0,
          "padded_conv_tensor: ic must be a multiple of 64 bytes, oc of 64");
  require((c.kernel == 1 || c.kernel == kMaxKernel) && (c.stride == 1 || c.stride == 2),
          "padded_conv_tensor: windows are 1x1 or 3x3, one or two apart");
  const int out_h = (c.h - 1) / c.stride + 1, out_w = (c.w - 1) / c.stride + 1;
  const std::int64_t rows = static_cast<std::int64_t>(c.n) * out_h * out_w;
  require(rows <= INT32_MAX - kRows && static_cast<std::int64_t>(c.n) * c.h * c.w <= UINT32_MAX / c.ic,
          "padded_conv_tensor: the batch is too large for one launch");
  const ConvShape shape{static_cast<int>(rows), c.h, c.w, c.ic, c.oc, out_h, out_w, c.kernel, c.stride};
  const bool wide = PaddedConvTile::columns(c.oc) == 128;
  if (c.maps) return (wide ? launch_tiles<T, 128, true> : launch_tiles<T, 64, true>)(c, shape, stream);
  (wide ? launch_tiles<T, 128, false> : launch_tiles<T, 64, false>)(c, shape, stream);
}

template void padded_conv_tensor(const PaddedConv<Half>&, Stream);
template void padded_conv_tensor(const PaddedConv<Bfloat16>&, Stream);
template void padded_conv_tensor(const PaddedConv<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
