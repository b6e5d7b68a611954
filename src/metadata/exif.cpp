#include "src/metadata/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "src/image/boxes.h"

namespace lfm {
namespace {

using namespace std::string_view_literals;
using Bytes = std::span<const std::byte>;

/// TIFF's, and those of the raw files of Olympus and Panasonic, which are TIFF otherwise.
constexpr std::array kHeads = {"II*\0"sv, "MM\0*"sv, "IIRO"sv, "IIRS"sv, "MMOR"sv, "IIU\0"sv};

class Directory {
 public:
  Directory(Bytes block, bool big_endian) : block_(block), big_endian_(big_endian) {}

  std::uint64_t number(std::uint64_t at, unsigned count) const {
    if (big_endian_) return big_endian_at(block_, at, count);
    if (at > block_.size() || count > block_.size() - at) return 0;
    std::uint64_t value = 0;
    for (unsigned i = count; i-- > 0;)
      value = value << 8 | static_cast<std::uint64_t>(block_[static_cast<std::size_t>(at) + i]);
    return value;
  }

  /// visit(tag, type, bytes of the value) for each entry of the directory at an offset.
  template <typename Visit>
  void visit(std::uint64_t at, Visit&& visit_entry) const {
    constexpr unsigned sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};  // of the types
    constexpr std::uint64_t most_entries = 512, entry_bytes = 12;
    const std::uint64_t entries = std::min(number(at, 2), most_entries);
    for (std::uint64_t i = 0; i < entries; ++i) {
      const std::uint64_t entry = at + 2 + entry_bytes * i;
      if (entry + entry_bytes > block_.size()) return;
      const std::uint64_t type = number(entry + 2, 2), count = number(entry + 4, 4);
      if (type >= std::size(sizes) || sizes[type] == 0) continue;
      const std::uint64_t size = count * sizes[type];
      const std::uint64_t from = size <= 4 ? entry + 8 : number(entry + 8, 4);
      if (from > block_.size() || size > block_.size() - from) continue;
      visit_entry(static_cast<unsigned>(number(entry, 2)), from,
                  block_.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(size)));
    }
  }

 private:
  Bytes block_;
  bool big_endian_;
};

/// Up to the first zero, without spaces at its end.
std::string text_of(Bytes bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text = text.substr(0, text.find('\0'));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

/// A UserComment: eight bytes of its coding, then ASCII, or UTF-16 of which only ASCII is kept.
std::string comment_of(Bytes bytes) {
  constexpr std::size_t coding = 8;
  if (bytes.size() <= coding) return {};
  const std::string_view name(reinterpret_cast<const char*>(bytes.data()), coding);
  const Bytes rest = bytes.subspan(coding);
  if (!name.starts_with("UNICODE")) return text_of(rest);
  std::string text;
  for (const std::byte byte : rest) {
    if (byte != std::byte{0}) text += static_cast<unsigned char>(byte) < 0x80 ? static_cast<char>(byte) : '?';
  }
  return text;
}

}  // namespace

Exif read_exif(Bytes block) {
  Exif exif;
  if (block.size() < 8) return exif;
  const std::string_view head(reinterpret_cast<const char*>(block.data()), 4);
  if (std::ranges::find(kHeads, head) == kHeads.end()) return exif;
  const bool big_endian = head[0] == 'M';
  const Directory directory(block, big_endian);
  std::uint64_t below = 0;
  directory.visit(directory.number(4, 4), [&](unsigned tag, std::uint64_t at, Bytes value) {
    switch (tag) {
      case 0x010e: exif.description = text_of(value); break;
      case 0x010f: exif.make = text_of(value); break;
      case 0x0110: exif.model = text_of(value); break;
      case 0x0112:
        if (const std::uint64_t turn = directory.number(at, 2); turn >= 1 && turn <= 8)
          exif.orientation = static_cast<int>(turn);
        break;
      case 0x0131: exif.software = text_of(value); break;
      case 0x02bc: exif.xmp = value; break;
      case 0x83bb: exif.iptc = value; break;
      case 0x8649: exif.resources = value; break;
      case 0x8769: below = directory.number(at, 4); break;
      case 0xcd41: exif.jumbf = value; break;
      default: break;
    }
  });
  if (below == 0) return exif;
  directory.visit(below, [&](unsigned tag, std::uint64_t, Bytes value) {
    if (tag == 0x9286) exif.comment = comment_of(value);
    if (tag == 0xa434) exif.lens = text_of(value);
  });
  return exif;
}

}  // namespace lfm
