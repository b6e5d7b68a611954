#include "src/engine/cpu/residual.h"

#include <cstddef>

#include "src/engine/cpu/kernels.h"
#include "src/model/residual.h"

namespace lfm::cpu {

void residual_row(FrontEnd front_end, const std::uint8_t* picture, int height, int width, int row, int columns,
                  float* out) {
  with_residual(front_end, [&](auto functor) {
    for (int x = 0; x < columns; ++x) {
      for (int c = 0; c < 3; ++c) {
        const auto pixel = [&](int r, int column) -> int {
          return picture[(static_cast<std::size_t>(r) * width + column) * 3 + c];
        };
        *out++ = functor.at(pixel, ResidualPlace{row, x, c, height, width});
      }
    }
  });
}

void residual_rows(FrontEnd front_end, const std::uint8_t* picture, int height, int width, int first, int columns,
                   float* rows) {
  for (int y = 0; y < kPlainRows; ++y)
    residual_row(front_end, picture, height, width, first + y, columns, rows + std::size_t{3} * columns * y);
}

}  // namespace lfm::cpu
