// What JPEG XL's decoder tells beside the pixels. Without libjxl this is not built.
#pragma once

#include "src/image/decoders.h"

namespace lfm {

/// How the picture is to be turned to be upright, as EXIF counts it, 1 to 8. 1 for what can't be read; throws for lack of memory
/// alone.
int jxl_orientation(Bytes bytes);

}  // namespace lfm
