// A picture's format and size from the first bytes of its file, without decoding it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace lfm {

struct PictureHeader {
  std::string format;       ///< "JPEG", …; "other" where it is none of those known here
  std::uint32_t width = 0;  ///< as stored, before any turn; 0 where the bytes don't tell, and of raw files
  std::uint32_t height = 0;
};

PictureHeader picture_header(std::span<const std::byte> head);

/// Of a file; nothing where it can't be read.
std::optional<PictureHeader> read_picture_header(const std::filesystem::path& path);

}  // namespace lfm
