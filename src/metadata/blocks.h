// What a picture's file carries beside its pixels, taken out of the file's own wrapping: JPEG's segments, PNG's and
// WebP's chunks, HEIF's and JPEG XL's boxes, TIFF's tags.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lfm {

using ByteBlock = std::vector<std::byte>;

struct MetadataBlocks {
  std::vector<ByteBlock> exif;   ///< each from its TIFF header on
  std::vector<std::string> xmp;  ///< packets
  std::vector<ByteBlock> jumbf;  ///< boxes, with their heads
  std::vector<ByteBlock> iptc;   ///< data sets of IPTC's IIM
  /// PNG's keywords and their texts; a JPEG's comments as "comment".
  std::vector<std::pair<std::string, std::string>> texts;
};

/// Never throws but for lack of memory: what is malformed, longer than a megabyte (JUMBF: 16) or more than a hundred of
/// a kind is left out.
MetadataBlocks metadata_blocks(std::span<const std::byte> file);

}  // namespace lfm
