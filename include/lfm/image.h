// Images: decoding and resizing, byte for byte as Pillow does it (the residual is made of neighbour differences, so one
// grey level more or less changes the score).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace lfm {

/// 8-bit RGB, interleaved: rgb[(y*width + x)*3 + channel].
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
};

struct DecodeLimits {
  std::uint64_t max_pixels = 256'000'000;  ///< refused before any allocation: a small file may claim a huge picture
};

/// Decodes JPEG, PNG, WebP, BMP, GIF, TGA, PSD, PNM, told apart by content. Alpha is dropped, grey replicated, palettes and CMYK
/// converted, 16 bit scaled, all as Pillow's convert("RGB") does. Throws Error{input} with the cause.
Image decode_image(std::span<const std::byte> bytes, const DecodeLimits& limits = {});

/// Reads and decodes one file. Errors name the file.
Image read_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

/// Pillow's resize((width, height), BILINEAR): a triangle filter widened when shrinking, in 8-bit fixed point.
Image resize_bilinear(const Image& image, int width, int height);

/// The centred width x height window (clamped to the image); an odd margin leaves the extra pixel right and below.
Image crop_center(const Image& image, int width, int height);

}  // namespace lfm
