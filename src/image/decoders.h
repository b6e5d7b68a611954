// The decoders behind decode_image, one file each. All check the picture's size with check_size before they
// allocate for it, and throw Error{input} without naming the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lfm/image.h"
#include "src/image/pixel_sink.h"

namespace lfm {

using Bytes = std::span<const std::byte>;

/// Throws Error{input} unless 1 <= width*height <= limits.max_pixels and both sides fit an int.
void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits);

void decode_jpeg(Bytes bytes, const DecodeLimits& limits, PixelSink& sink);  ///< libjpeg-turbo
void decode_png(Bytes bytes, const DecodeLimits& limits, PixelSink& sink);   ///< libpng
Image decode_webp(Bytes bytes, const DecodeLimits& limits);                  ///< libwebp
Image decode_gif(Bytes bytes, const DecodeLimits& limits);                   ///< giflib
Image decode_stb(Bytes bytes, const DecodeLimits& limits);  ///< stb_image: BMP, PSD, PNM, TGA

/// Whether stb_image takes the bytes for one of its formats; TGA has no signature, so its header must be
/// parsed.
bool is_stb_image(Bytes bytes);

/// An empty, zero-filled picture of a checked size.
Image make_image(int width, int height);

}  // namespace lfm
