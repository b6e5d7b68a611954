// Traces that processing leaves in pixels, whatever format they come in: hints, which other textures can feign.
#pragma once

#include <optional>

#include "lfm/image.h"

namespace lfm {

/// Where the 8 x 8 blocks of an earlier JPEG compression begin: the first pixel of a block across and down, 0 to 7.
struct JpegGrid {
  int x = 0;
  int y = 0;
};

/// The grid, of the central million pixels at most. Nothing where none stands out.
std::optional<JpegGrid> jpeg_grid(const Image& image);

/// The period, in cycles a pixel, with which neighbours depend on each other, as interpolation makes them do; multiples
/// of 1/8, which JPEG and the filters of cameras leave, don't count. Nothing where no period stands out.
std::optional<double> resampling_frequency(const Image& image);

}  // namespace lfm
