#include <cstddef>
#include <cstdlib>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

namespace {

// |x - x'| of two normalised pixels, the second the top-left one of the first's cell: the mean cancels, and equal differences of grey
// levels give equal bits.
double npr(const FrontEndRow& front_end, const PixelBatch& batch, const std::uint8_t* image, int row, int column, int channel) {
  const auto level = [&](int y, int x) {
    return static_cast<int>(image[(static_cast<std::size_t>(y) * batch.width + x) * 3 + channel]);
  };
  const int difference = level(row, column) - level(front_end.cell_of(row), front_end.cell_of(column));
  return std::abs(difference) / (255.0 * kPixelStd[channel]);
}

auto value_of(FrontEnd kind) {
  switch (kind) {
    case FrontEnd::npr: return npr;
  }
  return npr;
}

}  // namespace

Maps residual(const FrontEndRow& front_end, const PixelBatch& batch) {
  const MapSize size = front_end.input_size({batch.height, batch.width});
  const auto value = value_of(front_end.kind);
  Maps maps(batch.n, 3, size.h, size.w);
  for (int i = 0; i < batch.n; ++i) {
    for (int c = 0; c < 3; ++c) {
      double* out = maps.plane(i, c);
      for (int row = 0; row < size.h; ++row) {
        for (int column = 0; column < size.w; ++column) *out++ = value(front_end, batch, batch.image(i), row, column, c);
      }
    }
  }
  return maps;
}

}  // namespace lfm::reference
