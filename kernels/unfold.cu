// unfold: output[y][x][tap] = input[y + tap/2][x + tap%2], all channels.
//   input [n][h][w][c]   ->   output [n][h-1][w-1][4][c]
//   grid   (4(w-1) * chunks / 256, h-1, n)     block 256 threads, a chunk of 16 bytes each
// Consecutive threads read and write consecutive chunks. An input is read up to four times, from L2 but for the first.
#include "kernels/launch.h"
#include "kernels/tensor_core.cuh"
#include "kernels/unfold.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kTaps = 4;

__global__ void __launch_bounds__(kThreads)
    unfold_kernel(Chunk* __restrict__ output, const Chunk* __restrict__ input, int h, int w, int chunks) {
  const int i = item_index(kThreads);  // in a row of the output
  const int row_chunks = (w - 1) * kTaps * chunks;
  if (i >= row_chunks) return;
  const int chunk = i % chunks, tap = i / chunks % kTaps, x = i / chunks / kTaps, y = block_row();
  const std::int64_t image = block_layer();
  const std::int64_t from = ((image * h + y + tap / 2) * w + x + tap % 2) * chunks + chunk;
  store_chunk(output + (image * (h - 1) + y) * row_chunks + i, load_chunk(input + from));
}

}  // namespace

void unfold(void* output, const void* input, int n, int h, int w, int channel_bytes, Stream stream) {
  constexpr int kChunkBytes = sizeof(Chunk);
  require(n > 0 && h > 1 && w > 1, "unfold: the output is empty");
  require(channel_bytes > 0 && channel_bytes % kChunkBytes == 0, "unfold: channels must fill chunks of 16 bytes");
  require(n <= kMaxGridY && h <= kMaxGridY, "unfold: too many images or rows for one launch");
  const std::int64_t row_chunks = std::int64_t{w - 1} * kTaps * (channel_bytes / kChunkBytes);
  require(row_chunks <= INT32_MAX - kThreads, "unfold: the images are too wide");
  launch({.kernel = "unfold",
          .blocks = {blocks_for(row_chunks, kThreads), static_cast<unsigned>(h - 1), static_cast<unsigned>(n)},
          .threads = kThreads,
          .synchronises = false},
         stream, unfold_kernel, static_cast<Chunk*>(output), static_cast<const Chunk*>(input), h, w,
         channel_bytes / kChunkBytes);
}

}  // namespace lfm::kernels::inline LFM_TARGET
