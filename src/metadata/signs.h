// What speaks of a picture's origin beside its score: what its file says of itself, and what processing left behind.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lfm/detector.h"
#include "lfm/image.h"

namespace lfm {

/// Of a file and of what it was decoded to. Never throws but for lack of memory: what is malformed says nothing. Of a
/// raw file whose preview was decoded, the pixels are the preview's.
std::vector<Sign> find_signs(std::span<const std::byte> file, const Image& image);

/// How the stored picture is to be turned to be upright, as EXIF counts it: by HEIF's and JPEG XL's own say, else by
/// EXIF's.
int orientation_of(std::span<const std::byte> file);

}  // namespace lfm
