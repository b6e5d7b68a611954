// The decoders, one file a format; src/image/formats.cpp says which takes which file. All check the picture's size
// with check_size before they allocate for it, and throw Error{input} without naming the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lfm/image.h"
#include "src/image/pixel_sink.h"

namespace lfm {

using Bytes = std::span<const std::byte>;
using Decoder = void(Bytes bytes, const DecodeLimits& limits, PixelSink& sink);

Decoder decode_jpeg;                                     ///< libjpeg-turbo; row by row
Decoder decode_png;                                      ///< libpng; row by row
Decoder decode_webp;                                     ///< libwebp
Decoder decode_gif;                                      ///< giflib
Decoder decode_heif;                                     ///< libheif: HEIC and AVIF
Decoder decode_tiff;                                     ///< libtiff; the first page
Decoder decode_jxl;                                      ///< libjxl
Decoder decode_raw;                                      ///< libraw; the camera's JPEG preview
Decoder decode_bmp, decode_psd, decode_pnm, decode_tga;  ///< own: no library reads them as Pillow does

/// Throws Error{input} unless 1 <= width*height <= limits.max_pixels and both sides fit an int.
void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits);

/// Throws the Error{input} for a variant of a format that isn't read: "an RLE-compressed BMP of 24 bits".
[[noreturn]] void refuse_variant(const std::string& what);

/// An empty, zero-filled picture of a checked size.
Image make_image(int width, int height);

/// The size a picture came in.
struct SourceSize {
  int width = 0;
  int height = 0;
};

/// One of a file's pictures, and how it is to be turned to be upright, as EXIF counts it.
struct Page {
  Image image;
  int orientation = 1;
};

/// How many pictures a file holds; 1 in formats without pages. Both throw as decode_image does.
int count_pages(Bytes bytes, const DecodeLimits& limits);
/// One of them, from 0 on, of a file that has several.
Page decode_page(Bytes bytes, int page, const DecodeLimits& limits);

/// lfm/image.h's functions without "_into", writing to memory of height rows of width*3 bytes.
SourceSize decode_image_resized_into(Bytes bytes, int width, int height, const DecodeLimits& limits, std::uint8_t* out);
void resize_bilinear_into(const Image& image, int width, int height, std::uint8_t* out);

}  // namespace lfm
