// residual: residual[y][x][c] = Residual::at(pixels, y, x, c), src/model/residual.h.
//   pixels [n][height][width][3] uint8   ->   residual [n][h][w][3] float,  h x w: height x width, or whole cells of it
//   grid   (3wh/256, n)     block 256 threads
// One thread writes one value; consecutive threads read and write consecutive ones. No shared memory.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/residual.h"
#include "src/model/front_end.h"
#include "src/model/residual.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

template <typename Residual>
__global__ void __launch_bounds__(kThreads)
    residual_kernel(float* __restrict__ residual, const std::uint8_t* __restrict__ pixels, int h, int w, int height,
                    int width) {
  const int i = item_index(kThreads);  // in the row-major [h][w][3] image
  if (i >= h * w * 3) return;
  const int c = i % 3, x = i / 3 % w, y = i / 3 / w;
  const std::uint8_t* image = pixels + std::int64_t{block_row()} * height * width * 3;
  const auto pixel = [&](int row, int column) -> int { return image[(row * width + column) * 3 + c]; };
  residual[std::int64_t{block_row()} * h * w * 3 + i] = Residual::at(pixel, ResidualPlace{y, x, c, height, width});
}

}  // namespace

void residual(FrontEnd front_end, float* values, const std::uint8_t* pixels, int n, int height, int width,
              Stream stream) {
  const MapSize size = front_end_row(front_end).input_size({height, width});
  require(n > 0 && size.area() > 0, "residual: the batch is empty");
  require(static_cast<std::int64_t>(height) * width * 3 <= INT32_MAX, "residual: the images are too large");
  require(n <= kMaxGridY, "residual: too many images for one launch");
  with_residual(front_end, [&](auto functor) {
    launch({.kernel = "residual",
            .blocks = {blocks_for(size.area() * 3, kThreads), static_cast<unsigned>(n)},
            .threads = kThreads,
            .synchronises = false},
           stream, residual_kernel<decltype(functor)>, values, pixels, size.h, size.w, height, width);
  });
}

}  // namespace lfm::kernels::inline LFM_TARGET
