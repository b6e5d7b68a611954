// What JPEG XL's decoder tells beside the pixels. Without libjxl this is not built.
#pragma once

#include <cstddef>
#include <vector>

#include "src/image/decoders.h"
#include "src/image/formats.h"

namespace lfm {

/// How the picture is to be turned to be upright, as EXIF counts it, 1 to 8. 1 for what can't be read; throws for lack
/// of memory alone.
int jxl_orientation(Bytes bytes);

/// What boxes "brob" hold, unpacked: metadata of up to `most_bytes` each. None of what can't be read; throws for lack
/// of memory alone.
std::vector<PackedBox> jxl_packed_boxes(Bytes bytes, std::size_t most_bytes);

}  // namespace lfm
