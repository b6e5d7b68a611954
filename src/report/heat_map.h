// Pictures of what drives a score, aligned to the pixels that the receptive fields cover.
#pragma once

#include <span>

#include "lfm/detector.h"
#include "lfm/image.h"

namespace lfm {

enum class Heat {
  contributions,  ///< red: towards fake, blue: towards real; the strongest has full colour
  grad_cam,       ///< dark violet to yellow
};

/// The picture, darkened and grey, under its evidence. `picture` may be the scored one at another size: width and
/// height are of the one the evidence speaks of. Each position spreads over its receptive field, strongest at the
/// centre; where windows overlap, their values add up, as they do in the logit. Pixels that no position sees stay grey.
Image draw_heat(const Image& picture, int width, int height, std::span<const Evidence> evidence, Heat heat);

/// Pictures of one height side by side, a white gap between them.
Image side_by_side(std::span<const Image> images);
/// And one below the other.
Image stacked(std::span<const Image> images);

}  // namespace lfm
