// Ink to light, as Pillow converts it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lfm {

/// rgb[3] from cmyk[4] as Adobe stores it, inverted: 255 - ink. With c, k as stored rgb = k - k*(255 - c)/255, the
/// product rounded as Pillow's MULDIV255 does.
inline void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb) {
  const int k = cmyk[3];
  for (int c = 0; c < 3; ++c) {
    const int product = (255 - cmyk[c]) * k + 128;
    rgb[c] = static_cast<std::uint8_t>(std::max(0, k - ((product + (product >> 8)) >> 8)));
  }
}

}  // namespace lfm
