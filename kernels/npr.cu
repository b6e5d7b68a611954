// npr: residual[y][x] = |pixel[y][x] - pixel[y & ~1][x & ~1]|, per channel.
//   pixels [n][height][width][3] uint8   ->   residual [n][h][w][3] float,  h = height & ~1, w = width & ~1
//   grid   (3wh/256, n)     block 256 threads
// One thread writes one value; consecutive threads read and write consecutive ones. No shared memory.
#include "kernels/npr.h"

#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/residual.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    npr_kernel(float* __restrict__ residual, const std::uint8_t* __restrict__ pixels, int h, int w, int height, int width) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);  // in the row-major [h][w][3] image
  if (i >= h * w * 3) return;
  const int c = i % 3, x = i / 3 % w, y = i / 3 / w;
  const std::uint8_t* image = pixels + static_cast<std::int64_t>(blockIdx.y) * height * width * 3;
  const auto pixel = [&](int row, int column) -> int { return image[(row * width + column) * 3 + c]; };
  residual[static_cast<std::int64_t>(blockIdx.y) * h * w * 3 + i] = NprResidual::at(pixel, y, x);
}

}  // namespace

void npr(float* residual, const std::uint8_t* pixels, int n, int height, int width, Stream stream) {
  const int h = NprResidual::whole_cells(height), w = NprResidual::whole_cells(width);
  require(n > 0 && h > 0 && w > 0, "npr: the batch is empty");
  require(static_cast<std::int64_t>(height) * width * 3 <= INT32_MAX, "npr: the images are too large");
  require(n <= kMaxGridY, "npr: too many images for one launch");
  launch({.kernel = "npr", .blocks = {blocks_for(h * w * 3, kThreads), static_cast<unsigned>(n)}, .threads = kThreads,
          .synchronises = false},
         stream, npr_kernel, residual, pixels, h, w, height, width);
}

}  // namespace lfm::kernels::inline LFM_TARGET
