#include "src/engine/cpu/residual.h"

#include <cstddef>

#include "src/engine/cpu/kernels.h"
#include "src/model/residual.h"

namespace lfm::cpu {

void residual_rows(FrontEnd front_end, const std::uint8_t* picture, int height, int width, int first, int columns, float* rows) {
  with_residual(front_end, [&](auto functor) {
    for (int y = first; y < first + kPlainRows; ++y) {
      for (int x = 0; x < columns; ++x) {
        for (int c = 0; c < 3; ++c) {
          const auto pixel = [&](int row, int column) -> int { return picture[(static_cast<std::size_t>(row) * width + column) * 3 + c]; };
          *rows++ = functor.at(pixel, ResidualPlace{y, x, c, height, width});
        }
      }
    }
  });
}

}  // namespace lfm::cpu
