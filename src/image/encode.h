// Encoding to bytes in memory. Throws Error{output} where a format can't hold the image, Error{usage} for a
// bad quality.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "lfm/image.h"

namespace lfm {

/// software: the program that made the picture, said in a text chunk (Software); empty: none.
std::vector<std::byte> encode_png(const Image& image, std::string_view software = {});

/// quality 1 to 100; 4:2:0 chroma and libjpeg's standard Huffman tables, as Pillow's save(quality=quality)
/// writes it.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);

/// Lossy; quality 0 to 100; libwebp's default method, as Pillow's save(quality=quality) writes it.
std::vector<std::byte> encode_webp(const Image& image, int quality);

}  // namespace lfm
