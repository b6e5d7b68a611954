#include <cstddef>
#include <cstdlib>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

Maps residual(const PixelBatch& batch) {
  Maps npr(batch.n, 3, batch.height & ~1, batch.width & ~1);
  for (int i = 0; i < batch.n; ++i) {
    const std::uint8_t* image = batch.image(i);
    for (int c = 0; c < 3; ++c) {
      // |x - x'| of two normalised pixels: the mean cancels, and equal differences of grey levels give equal bits.
      const auto level = [&](int row, int column) {
        return static_cast<int>(image[(static_cast<std::size_t>(row) * batch.width + column) * 3 + c]);
      };
      double* out = npr.plane(i, c);
      for (int row = 0; row < npr.h; ++row) {
        for (int column = 0; column < npr.w; ++column) {
          const int difference = level(row, column) - level(row & ~1, column & ~1);
          out[row * npr.w + column] = std::abs(difference) / (255.0 * kPixelStd[c]);
        }
      }
    }
  }
  return npr;
}

}  // namespace lfm::reference
