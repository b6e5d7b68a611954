// The formats of pictures, told apart by content: a row a format, read or refused.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "src/image/decoders.h"

namespace lfm {

/// A box that the file holds in compressed form, unpacked.
struct PackedBox {
  std::string type;  ///< "Exif", "xml "
  std::vector<std::byte> body;
};

struct Format {
  const char* name;              ///< "JPEG", "HEIF (HEIC)"
  bool (*matches)(Bytes head);   ///< asked of the rows above first
  Decoder* decode = nullptr;     ///< null for what isn't read: PDF and films too, where people keep pictures
  const char* remedy = nullptr;  ///< where it isn't read
  /// That reads it, and its package, "libtiff (package libtiff-dev)"; the build lacks it where `decode` is null.
  const char* library = nullptr;
  int (*orientation)(Bytes file) = nullptr;  ///< where the format has a word of its own for it, beside EXIF
  /// How many pictures the file holds, and one of them, from 0 on; null where there is but one. As `decode` they throw
  /// Error{input}; count_pages and decode_page call them.
  int (*pages)(Bytes file, const DecodeLimits& limits) = nullptr;
  Page (*page)(Bytes file, int page, const DecodeLimits& limits) = nullptr;
  bool is_film = false;
  bool preview = false;  ///< what is decoded is the preview that the camera embedded
  /// Where metadata may be compressed.
  std::vector<PackedBox> (*packed_boxes)(Bytes file, std::size_t most_bytes) = nullptr;
};

/// A file's first bytes, by which its format is told; more of them aren't looked at.
inline constexpr std::size_t kFormatHeadBytes = 4096;

/// The format that the first bytes are of; null for none that is known. Name and ending are never asked.
const Format* find_format(Bytes head);

/// All rows, those that are read and those that are known to be refused.
std::span<const Format> known_formats();

/// Why a format of `decode` can't be read here, with the remedy: its library isn't installed. Empty where it can; loads
/// the library.
std::string why_not_read(const Format& format);

/// The names of the formats that are read, ", " between them.
std::string readable_formats();

}  // namespace lfm
