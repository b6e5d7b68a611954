#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

namespace {

/// One channel of one image.
struct Channel {
  const PixelBatch& batch;
  int image, channel;

  int level(int y, int x) const {
    return batch.image(image)[(static_cast<std::size_t>(y) * batch.width + x) * 3 + static_cast<std::size_t>(channel)];
  }
};

// Differences of two normalised pixels are differences of levels, so that equal ones give equal bits: the mean cancels.
double npr_signed(const Channel& c, int y, int x) { return c.level(y, x) - c.level(y / 2 * 2, x / 2 * 2); }

double npr(const Channel& c, int y, int x) { return std::abs(npr_signed(c, y, x)); }

double none(const Channel& c, int y, int x) { return c.level(y, x) - 255 * kPixelMean[c.channel]; }

// Value i of a band along a side of n pixels is x[2i - 2] - x[2i - 1] by the taps 1/sqrt(2) and -1/sqrt(2), the side
// mirrored at its ends (docs/METHOD.md, section 2).
int mirrored(int at, int n) { return at < 0 ? -1 - at : at >= n ? 2 * n - 1 - at : at; }

double band_value(const Channel& c, int i, int j) {
  const int h = c.batch.height, w = c.batch.width;
  const auto level = [&](int row, int column) {
    return c.level(mirrored(2 * i - 2 + row, h), mirrored(2 * j - 2 + column, w));
  };
  return (level(0, 0) - level(0, 1) - level(1, 0) + level(1, 1)) / 2.0;
}

/// Where a pixel's centre lies in a band along a side of n pixels: the value before it, and how far on to the next.
struct BandPlace {
  int before, after;
  double fraction;
};
BandPlace band_place(int at, int n) {
  const int values = (n + 5) / 2;
  const double place = std::max(0.0, (at + 0.5) * values / n - 0.5);
  const int before = std::min(static_cast<int>(place), values - 1);
  return {before, std::min(before + 1, values - 1), place - before};
}

double haar_hh(const Channel& c, int y, int x) {
  const BandPlace row = band_place(y, c.batch.height), column = band_place(x, c.batch.width);
  const auto along = [&](int i) {
    return (1 - column.fraction) * band_value(c, i, column.before) + column.fraction * band_value(c, i, column.after);
  };
  return (1 - row.fraction) * along(row.before) + row.fraction * along(row.after);
}

auto value_of(FrontEnd kind) {
  switch (kind) {
    case FrontEnd::npr: return npr;
    case FrontEnd::npr_signed: return npr_signed;
    case FrontEnd::haar_hh: return haar_hh;
    case FrontEnd::none: return none;
  }
  return npr;
}

}  // namespace

Maps residual(const FrontEndRow& front_end, const PixelBatch& batch, Normalisation normalisation) {
  const MapSize size = front_end.input_size({batch.height, batch.width});
  const auto value = value_of(front_end.kind);
  Maps maps(batch.n, 3, size.h, size.w);
  for (int i = 0; i < batch.n; ++i) {
    for (int c = 0; c < 3; ++c) {
      // As one division, which NPR's values are defined by.
      const double unit = (normalisation == Normalisation::unit ? 255.0 : 255.0 * kPixelStd[c]) / front_end.gain;
      double* out = maps.plane(i, c);
      for (int row = 0; row < size.h; ++row) {
        for (int column = 0; column < size.w; ++column) *out++ = value({batch, i, c}, row, column) / unit;
      }
    }
  }
  return maps;
}

}  // namespace lfm::reference
