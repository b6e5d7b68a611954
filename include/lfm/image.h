// Images: decoding and resizing, byte for byte as Pillow does it (the residual is made of neighbour
// differences, so one grey level more or less changes the score; docs/METHOD.md, section 1).
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
  std::uint64_t max_file_bytes = 1'073'741'824;  ///< refused before the file is read
};

/// Decodes JPEG, PNG, WebP, GIF, BMP, PSD, PNM, TGA and, where the build has their libraries, HEIF (HEIC), AVIF, TIFF,
/// JPEG XL and the preview in cameras' raw files, told apart by content, as Pillow's Image.open(f).convert("RGB") does:
///   * alpha and transparency are dropped, not composited; grey is replicated; palettes are looked up;
///   * a four-component JPEG is taken as Adobe's inverted CMYK, RGB = K * (255 - C) by Pillow's integer formula;
///   * of a PNG's 16-bit samples the high byte is kept, those of a PNM are scaled and rounded. 16-bit grey alone Pillow
///     clips at 255, which turns nearly every picture white, so there we deviate and keep the high byte too;
///   * EXIF orientation and colour profiles are not applied; of an animation the first frame is taken.
/// A variant that Pillow can't read is refused by its name, or, where there is but one way to read it, read.
/// Throws Error{input} with cause and remedy for anything truncated, corrupt, unsupported or over the limits.
Image decode_image(std::span<const std::byte> bytes, const DecodeLimits& limits = {});

/// Reads and decodes one file. Errors name the file.
Image read_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

/// An image resized as it was decoded, and the size it came in.
struct ResizedImage {
  Image image;
  int source_width = 0;
  int source_height = 0;
};

/// Equal to resize_bilinear(decode_image(bytes, limits), width, height), but rows of JPEG and PNG go straight from the
/// decoder to the resizer: the full-size picture is never in memory.
ResizedImage decode_image_resized(std::span<const std::byte> bytes, int width, int height,
                                  const DecodeLimits& limits = {});

/// The same for one file. Errors name the file.
ResizedImage read_image_resized(const std::filesystem::path& path, int width, int height,
                                const DecodeLimits& limits = {});

/// Pillow's resize((width, height), BILINEAR): a triangle filter widened when shrinking, in 8-bit fixed point.
Image resize_bilinear(const Image& image, int width, int height);

/// The width x height window whose top left pixel is (x, y). Throws Error{usage} unless it lies inside the image.
Image crop(const Image& image, int x, int y, int width, int height);

/// The centred width x height window (clamped to the image); an odd margin leaves the extra pixel right and below.
Image crop_center(const Image& image, int width, int height);

}  // namespace lfm
