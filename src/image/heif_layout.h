// What a HEIF file says of its primary picture beside the pixels: which part of them is the picture, how it is to be
// turned, and where its metadata lie. Read without libheif, whose older versions tell less.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/image/boxes.h"
#include "src/image/view.h"

namespace lfm {

/// A picture, or what belongs to one.
struct HeifItem {
  std::uint64_t number = 0;
  std::string_view type;  ///< "hvc1", "grid", "Exif", …: four bytes of the file
  bool is_xmp = false;
  std::vector<std::span<const std::byte>> pieces;  ///< of the file, one behind the other
};

struct HeifLayout {
  /// Of the primary picture, before its aperture; 0 where it isn't told.
  std::uint32_t stored_width = 0, stored_height = 0;
  int orientation = 1;  ///< as EXIF counts it, 1 to 8, of its properties irot and imir
  enum class Chroma { unknown, none, half, half_width, full };
  bool is_av1 = false;              ///< the codec is AVIF's, else HEIC's
  Chroma chroma = Chroma::unknown;  ///< how the codec stores colours: 4:0:0, 4:2:0, 4:2:2, 4:4:4
  /// Its property clap, of a picture of that many pixels; all of it where the file doesn't tell.
  Window clean_aperture(int width, int height) const;
  std::vector<std::span<const std::byte>> exif, xmp;  ///< parts of the file; of exif from the TIFF header on

  std::vector<std::int64_t> aperture;  ///< the property's eight numbers, or none
};

/// Never throws: what is missing or malformed is left out.
HeifLayout heif_layout(std::span<const std::byte> file);
std::vector<HeifItem> heif_items(std::span<const std::byte> file);
/// All that items share among them.
std::vector<Box> heif_properties(std::span<const std::byte> file);

}  // namespace lfm
