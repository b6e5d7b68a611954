// The pages of a TIFF. Without libtiff these are not built: find_format tells (Format::pages).
#pragma once

#include "lfm/image.h"
#include "src/image/decoders.h"

namespace lfm {

/// Directories, thumbnails among them; at least 1. Throws Error{input} for what is no TIFF.
int count_tiff_pages(Bytes bytes, const DecodeLimits& limits);

/// One of them, from 0 on, as decode_tiff decodes the first.
Page decode_tiff_page(Bytes bytes, int page, const DecodeLimits& limits);

}  // namespace lfm
