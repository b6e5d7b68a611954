// From the planes of a video codec to RGB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lfm/image.h"

namespace lfm {

/// Samples of 8 bits, a byte each, or of 9 to 16, two bytes each in the machine's order.
struct YcbcrPlanes {
  int width = 0, height = 0;                    ///< of the luma
  std::array<const std::uint8_t*, 3> planes{};  ///< Y, Cb, Cr; no chroma: grey
  std::array<std::size_t, 3> strides{};         ///< bytes a row
  int bits = 8;
  bool half_width = false, half_height = false;  ///< of the chroma, which then is of (side + 1) / 2 samples
  bool interpolates = false;                     ///< its chroma, else a sample stands for all its pixels
  bool full_range = true;                        ///< else luma has 219 of 255 levels, chroma 224
  double kr = 0.299, kb = 0.114;                 ///< shares of red and blue in the luma: BT.601's
};

/// Interpolated chroma is libavif's, its samples lying between those of the luma (weights 9, 3, 3, 1); repeated chroma
/// is what libheif gives pillow-heif. Either way neighbouring pixels differ as they do in Pillow's pictures, to a
/// rounding.
Image to_rgb(const YcbcrPlanes& planes);

}  // namespace lfm
