// How the program knows the pictures that it made itself: the PNG's text chunk names the software.
#pragma once

#include <string_view>

namespace lfm {

inline constexpr std::string_view kOwnSoftware = "lfm-cuda";

/// Whether this is the beginning of a PNG that encode_png(…, kOwnSoftware) made.
inline bool is_own_picture(std::string_view head) {
  using namespace std::string_view_literals;
  constexpr std::string_view chunk = "tEXtSoftware\0lfm-cuda"sv;
  constexpr std::size_t place = 37;  // after the signature, IHDR and the chunk's length
  return head.starts_with("\x89PNG") && head.size() > place && head.substr(place).starts_with(chunk);
}

}  // namespace lfm
