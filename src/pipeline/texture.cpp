#include "src/pipeline/texture.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace lfm {
namespace {

constexpr double kLeastAny = 0.04, kLeastStrong = 0.01;

/// The largest difference to the cell's top left pixel; larger ones than two levels may be told as two.
int largest_difference(const std::uint8_t* upper, const std::uint8_t* lower) {
  int largest = 0;
  for (int channel = 0; channel < 3; ++channel) {
    const int first = upper[channel];
    largest = std::max({largest, std::abs(upper[3 + channel] - first), std::abs(lower[channel] - first),
                        std::abs(lower[3 + channel] - first)});
    if (largest > 1) return 2;
  }
  return largest;
}

}  // namespace

Texture texture_of(const Image& image) { return texture_of(image.rgb.data(), image.width, image.height); }

Texture texture_of(const std::uint8_t* rgb, int width, int height) {
  const int columns = width / 2, rows = height / 2;  // whole cells
  const std::size_t stride = std::size_t{3} * static_cast<std::size_t>(width);
  std::size_t any = 0, strong = 0;
  for (int row = 0; row < rows; ++row) {
    const std::uint8_t* upper = rgb + 2 * static_cast<std::size_t>(row) * stride;
    const std::uint8_t* lower = upper + stride;
    for (int column = 0; column < columns; ++column, upper += 6, lower += 6) {
      const int difference = largest_difference(upper, lower);
      any += difference > 0;
      strong += difference > 1;
    }
  }
  const double cells = std::max(1.0, static_cast<double>(columns) * rows);
  return {static_cast<double>(any) / cells, static_cast<double>(strong) / cells};
}

bool is_empty(const Texture& texture) { return texture.any < kLeastAny || texture.strong < kLeastStrong; }

}  // namespace lfm
