// Whether a picture has anything for a network to look at: differences inside cells of 2x2 pixels, which NPR's residual
// consists of. What other residuals show of a picture without them says as little about where it comes from, so that
// they are asked for whatever the residual.
//
// Flat colours, rendered slopes, dithering by one grey level and pictures enlarged pixel by pixel leave nothing, and
// the logit of nothing says nothing. The limits come from 1039 real photographs of 256x256 pixels, a tile each, of nine
// sources: untouched, no less than 22 % of a photograph's cells hold a difference and 12 % one of more than a level; at
// JPEG 75, 12 % and 2.0 %; at WebP 50, 6.6 % and 4.5 %; at JPEG 15, 4.6 % and 4.6 %; enlarged four times, 10.6 % and
// 1.5 %. The limits lie below all of these.
#pragma once

#include <cstdint>

#include "lfm/image.h"

namespace lfm {

/// Shares of an image's 2x2 cells, 0 … 1.
struct Texture {
  double any = 0;     ///< with a difference in some channel
  double strong = 0;  ///< with one of more than a grey level: what no smooth slope or dithering has
};

Texture texture_of(const Image& image);
Texture texture_of(const std::uint8_t* rgb, int width, int height);  ///< [height][width][3]

/// Too little to tell real from fake.
bool is_empty(const Texture& texture);

}  // namespace lfm
