// The few fields of EXIF that tell how a picture is to be turned and what made it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace lfm {

struct Exif {
  int orientation = 1;                                            ///< 1 to 8
  std::string make, model, lens, software, description, comment;  ///< empty where there is none
  /// Of a TIFF file: parts of the block; resources are Photoshop's.
  std::span<const std::byte> xmp, jumbf, iptc, resources;
};

/// Of a block from its TIFF header on, or of a TIFF file. Never throws but for lack of memory: what is malformed is
/// left out.
Exif read_exif(std::span<const std::byte> block);

}  // namespace lfm
