// Seeded pictures for tests.
#pragma once

#include <cstdint>
#include <random>

#include "lfm/image.h"

namespace lfm {

/// Uniform noise: no two neighbours agree, so an index that is off by one shows.
inline Image random_image(int width, int height, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  Image image{width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(generator());
  return image;
}

/// A slope with waves: what a lossy format can keep.
inline Image smooth_image(int width, int height) {
  Image image{width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* rgb = &image.rgb[(std::size_t(y) * width + x) * 3];
      rgb[0] = static_cast<std::uint8_t>(255 * x / width);
      rgb[1] = static_cast<std::uint8_t>(255 * y / height);
      rgb[2] = static_cast<std::uint8_t>(128 + 60 * ((x / 8 + y / 8) % 2));
    }
  }
  return image;
}

}  // namespace lfm
