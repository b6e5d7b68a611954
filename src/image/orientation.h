// How a stored picture is to be turned to be upright, as EXIF counts it:
//   1 it is upright   2 mirrored left to right   3 turned by 180 degrees   4 mirrored top to bottom
//   5 transposed      6 to be turned clockwise   7 transposed across       8 to be turned counter-clockwise
// The score is of the grid as it is stored; what people are shown is upright.
#pragma once

#include "lfm/image.h"

namespace lfm {

/// A turn as three steps: transpose first, then mirror left to right, then top to bottom.
struct Turn {
  bool transpose = false, mirror_x = false, mirror_y = false;
};

/// Of an orientation; of any other number than 1 to 8 no turn.
Turn turn_of(int orientation);

/// The orientation of one turn after another.
int then_turned(int first, int second);

/// The picture turned upright.
Image upright(const Image& image, int orientation);

}  // namespace lfm
