// Boxes, of which HEIF, JPEG XL, films and JUMBF are made: a length, a type of four letters, and what is within.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lfm {

struct Box {
  std::string_view type;            ///< four bytes of the file
  std::span<const std::byte> body;  ///< of a "uuid" box with the 16 bytes of its name
};

/// The boxes that stand one after the other, up to the first that is cut off or says nonsense; at most `most`.
std::vector<Box> boxes_in(std::span<const std::byte> bytes, std::size_t most = 1024);

/// The first of a type, its body; empty where there is none.
std::span<const std::byte> box_body(std::span<const std::byte> bytes, std::string_view type);

/// A number of `count` bytes at `at`, most significant first; 0 beyond the end.
std::uint64_t big_endian_at(std::span<const std::byte> bytes, std::uint64_t at, unsigned count);

/// The bytes from `at` on; none beyond the end.
inline std::span<const std::byte> bytes_from(std::span<const std::byte> bytes, std::uint64_t at) {
  return at < bytes.size() ? bytes.subspan(static_cast<std::size_t>(at)) : std::span<const std::byte>();
}

}  // namespace lfm
