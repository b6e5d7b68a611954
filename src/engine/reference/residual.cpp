#include <cmath>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

Maps residual(const PixelBatch& batch) {
  Maps npr(batch.n, 3, batch.height & ~1, batch.width & ~1);
  for (int i = 0; i < batch.n; ++i) {
    const std::uint8_t* image = batch.pixels + static_cast<std::size_t>(i) * batch.height * batch.width * 3;
    for (int c = 0; c < 3; ++c) {
      const auto x = [&](int row, int column) {
        const double pixel = image[(static_cast<std::size_t>(row) * batch.width + column) * 3 + c];
        return (pixel / 255.0 - kPixelMean[c]) / kPixelStd[c];
      };
      double* out = npr.plane(i, c);
      for (int row = 0; row < npr.h; ++row) {
        for (int column = 0; column < npr.w; ++column) {
          const double up_down = x(row & ~1, column & ~1);
          out[row * npr.w + column] = std::abs(x(row, column) - up_down);
        }
      }
    }
  }
  return npr;
}

}  // namespace lfm::reference
