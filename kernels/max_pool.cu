// max_pool_of_relu: output[y][x] = max of input[2y][2x], input[2y][2x+1], input[2y+1][2x], input[2y+1][2x+1], by
// channel.
//   input [n][h][w][c]   ->   output [n][h/2][w/2][c]
//   grid   (w/2 * chunks / 256, h/2, n)     block 256 threads, a chunk of 16 bytes of output each
// Of numbers that are not negative the larger one has the larger bits, read as an integer with a sign: -0 is below +0,
// a NaN above infinity. So one kernel serves every format of a size. Every input is read once, 16 bytes a thread side
// by side.
#include "kernels/launch.h"
#include "kernels/max_pool.h"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

/// Of one 32-bit value, or of two of 16 bits, each by itself.
template <int kItemBytes>
__device__ __forceinline__ std::uint32_t larger(std::uint32_t a, std::uint32_t b) {
  if constexpr (kItemBytes == 4) {
    return static_cast<std::int32_t>(a) > static_cast<std::int32_t>(b) ? a : b;
  } else {
    const auto low = [](std::uint32_t v) { return static_cast<std::int16_t>(v & 0xffffu); };
    const std::uint32_t upper = static_cast<std::int32_t>(a) >> 16 > static_cast<std::int32_t>(b) >> 16 ? a : b;
    const std::uint32_t lower = low(a) > low(b) ? a : b;
    return (upper & 0xffff0000u) | (lower & 0xffffu);
  }
}

template <int kItemBytes>
__device__ __forceinline__ Chunk larger(const Chunk& a, const Chunk& b) {
  Chunk chunk;
  UNROLL
  for (int i = 0; i < 4; ++i) chunk.word[i] = larger<kItemBytes>(a.word[i], b.word[i]);
  return chunk;
}

template <int kItemBytes>
__global__ void __launch_bounds__(kThreads)
    max_pool_kernel(Chunk* __restrict__ output, const Chunk* __restrict__ input, int h, int w, int chunks) {
  const int i = item_index(kThreads);  // in a row of the output
  const int out_w = w / 2;
  if (i >= out_w * chunks) return;
  const int chunk = i % chunks, x = i / chunks, y = block_row();
  const std::int64_t image = block_layer();
  const Chunk* upper = input + ((image * h + 2 * y) * w + 2 * x) * chunks + chunk;
  const Chunk* lower = upper + static_cast<std::int64_t>(w) * chunks;
  const Chunk above = larger<kItemBytes>(load_chunk(upper), load_chunk(upper + chunks));
  const Chunk below = larger<kItemBytes>(load_chunk(lower), load_chunk(lower + chunks));
  store_chunk(output + (image * (h / 2) + y) * out_w * chunks + i, larger<kItemBytes>(above, below));
}

}  // namespace

void max_pool_of_relu(void* output, const void* input, int n, int h, int w, int c, int item_bytes, Stream stream) {
  constexpr int kChunkBytes = sizeof(Chunk);
  require(n > 0 && h > 1 && w > 1, "max_pool: the output is empty");
  require(item_bytes == 2 || item_bytes == 4, "max_pool: values are of 2 or 4 bytes");
  require(c > 0 && c * item_bytes % kChunkBytes == 0, "max_pool: channels must fill chunks of 16 bytes");
  require(n <= kMaxGridY && h / 2 <= kMaxGridY, "max_pool: too many images or rows for one launch");
  const int chunks = c * item_bytes / kChunkBytes;
  const std::int64_t row_chunks = std::int64_t{w} * chunks;
  require(row_chunks <= INT32_MAX - kThreads, "max_pool: the images are too wide");
  launch({.kernel = "max_pool",
          .blocks = {blocks_for(row_chunks / 2, kThreads), static_cast<unsigned>(h / 2), static_cast<unsigned>(n)},
          .threads = kThreads,
          .synchronises = false},
         stream, item_bytes == 2 ? max_pool_kernel<2> : max_pool_kernel<4>, static_cast<Chunk*>(output),
         static_cast<const Chunk*>(input), h, w, chunks);
}

}  // namespace lfm::kernels::inline LFM_TARGET
