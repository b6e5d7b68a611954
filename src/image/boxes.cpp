#include "src/image/boxes.h"

namespace lfm {

std::uint64_t big_endian_at(std::span<const std::byte> bytes, std::uint64_t at, unsigned count) {
  if (at > bytes.size() || count > bytes.size() - at) return 0;
  std::uint64_t value = 0;
  for (unsigned i = 0; i < count; ++i)
    value = value << 8 | static_cast<std::uint64_t>(bytes[static_cast<std::size_t>(at) + i]);
  return value;
}

std::vector<Box> boxes_in(std::span<const std::byte> bytes, std::size_t most) {
  constexpr std::size_t short_head = 8, long_head = 16;
  std::vector<Box> boxes;
  while (bytes.size() >= short_head && boxes.size() < most) {
    std::uint64_t size = big_endian_at(bytes, 0, 4);
    std::size_t head = short_head;
    if (size == 1) {
      size = big_endian_at(bytes, short_head, 8);
      head = long_head;
    } else if (size == 0) {  // to the end
      size = bytes.size();
    }
    if (size < head || size > bytes.size()) break;
    boxes.push_back({{reinterpret_cast<const char*>(bytes.data()) + 4, 4},
                     bytes.subspan(head, static_cast<std::size_t>(size) - head)});
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return boxes;
}

std::span<const std::byte> box_body(std::span<const std::byte> bytes, std::string_view type) {
  for (const Box& box : boxes_in(bytes)) {
    if (box.type == type) return box.body;
  }
  return {};
}

}  // namespace lfm
