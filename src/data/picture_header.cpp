#include "src/data/picture_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <fstream>
#include <string_view>
#include <vector>

#include "src/image/boxes.h"
#include "src/image/formats.h"
#include "src/image/heif_layout.h"

namespace lfm {
namespace {

constexpr std::size_t kHead = kFormatHeadBytes;
constexpr std::size_t kLongHead = std::size_t{1} << 18;  // EXIF, profiles and lists of tiles may stand before the size

/// `count` bytes at `at`, most significant first; 0 beyond the end.
std::uint32_t big(Bytes h, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i)
    value = value << 8 | (at + i < h.size() ? static_cast<std::uint32_t>(h[at + i]) : 0);
  return value;
}
std::uint32_t little(Bytes h, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;)
    value = value << 8 | (at + i < h.size() ? static_cast<std::uint32_t>(h[at + i]) : 0);
  return value;
}

struct Size {
  std::uint32_t width = 0, height = 0;
};

/// The first frame header; segments before it are passed over by their lengths.
Size jpeg_size(Bytes h) {
  for (std::size_t at = 2; at + 9 < h.size() && h[at] == std::byte{0xFF};) {
    const std::uint32_t marker = big(h, at + 1, 1);
    if (marker == 0xFF) {
      ++at;
    } else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      return {big(h, at + 7, 2), big(h, at + 5, 2)};
    } else {
      at += 2 + std::max<std::uint32_t>(2, big(h, at + 2, 2));
    }
  }
  return {};
}

Size webp_size(Bytes h) {
  const std::uint32_t kind = big(h, 12, 4);
  if (kind == 0x56503858) return {little(h, 24, 3) + 1, little(h, 27, 3) + 1};            // "VP8X"
  if (kind == 0x56503820) return {little(h, 26, 2) & 0x3FFF, little(h, 28, 2) & 0x3FFF};  // "VP8 "
  if (kind != 0x5650384C) return {};                                                      // "VP8L"
  const std::uint32_t bits = little(h, 21, 4);
  return {(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1};
}

/// "P6", comments, width, height.
Size pnm_size(Bytes h) {
  std::array<std::uint32_t, 2> sides{};
  std::size_t at = 2;
  const auto letter = [&] { return at < h.size() ? static_cast<unsigned char>(h[at]) : '\0'; };
  for (std::uint32_t& side : sides) {
    while (std::isspace(letter()) || letter() == '#') {
      if (letter() == '#') {
        while (at < h.size() && letter() != '\n') ++at;
      } else {
        ++at;
      }
    }
    for (; std::isdigit(letter()) && side < 100'000'000; ++at) side = side * 10 + (letter() - '0');
  }
  return {sides[0], sides[1]};
}

Size bmp_size(Bytes h) {
  if (little(h, 14, 4) == 12) return {little(h, 18, 2), little(h, 20, 2)};
  const std::uint32_t height = little(h, 22, 4);  // negative: rows from the top
  return {little(h, 18, 4), height >> 31 ? ~height + 1 : height};
}

Size png_size(Bytes h) { return {big(h, 16, 4), big(h, 20, 4)}; }
Size gif_size(Bytes h) { return {little(h, 6, 2), little(h, 8, 2)}; }
Size psd_size(Bytes h) { return {big(h, 18, 4), big(h, 14, 4)}; }
Size tga_size(Bytes h) { return {little(h, 12, 2), little(h, 14, 2)}; }

/// Width and height in the first directory, as far as that lies within the head; BigTIFF's too.
Size tiff_size(Bytes h) {
  const bool big_endian = h[0] == std::byte{'M'};
  const auto number = [&](std::size_t at, std::size_t count) {
    return big_endian ? big(h, at, count) : little(h, at, count);
  };
  const bool is_big = number(2, 2) == 43;
  const std::size_t half = big_endian ? 4 : 0;  // of numbers of eight bytes the one that counts
  const std::size_t directory = is_big ? number(8 + half, 4) : number(4, 4), entry_bytes = is_big ? 20 : 12;
  const std::size_t entries = is_big ? number(directory + half, 4) : number(directory, 2);
  Size size;
  for (std::size_t i = 0, at = directory + (is_big ? 8 : 2); i < entries && at + entry_bytes <= h.size();
       ++i, at += entry_bytes) {
    const std::uint32_t tag = number(at, 2), value = number(at + (is_big ? 12 : 8), number(at + 2, 2) == 3 ? 2 : 4);
    if (tag == 256) size.width = value;
    if (tag == 257) size.height = value;
  }
  return size;
}

Size heif_size(Bytes h) {
  const HeifLayout layout = heif_layout(h);
  const auto side = [](std::uint32_t length) { return static_cast<int>(std::min<std::uint32_t>(length, INT_MAX)); };
  const Window shown = layout.clean_aperture(side(layout.stored_width), side(layout.stored_height));
  return {static_cast<std::uint32_t>(shown.width), static_cast<std::uint32_t>(shown.height)};
}

/// Of a bare codestream, or of the first part of one in boxes (ISO/IEC 18181-1, SizeHeader).
Size jxl_size(Bytes h) {
  if (h[0] != std::byte{0xFF}) {
    const std::vector<Box> boxes = boxes_in(h);
    const auto found = std::ranges::find_if(boxes, [](const Box& b) { return b.type == "jxlc" || b.type == "jxlp"; });
    if (found == boxes.end()) return {};
    h = found->type == "jxlc" ? found->body : bytes_from(found->body, 4);
  }
  std::size_t at = 16;  // behind the signature; bits, the least significant first
  const auto bits = [&](std::size_t count) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i, ++at) value |= (little(h, at / 8, 1) >> (at % 8) & 1) << i;
    return value;
  };
  const bool is_small = bits(1) == 1;
  const auto side = [&]() -> std::uint32_t {
    if (is_small) return 8 * (bits(5) + 1);
    constexpr std::size_t lengths[] = {9, 13, 18, 30};
    return bits(lengths[bits(2)]) + 1;
  };
  const std::uint32_t height = side();
  constexpr std::uint64_t ratios[8][2] = {{0, 1}, {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}};
  const auto& [across, down] = ratios[bits(3)];
  return {across == 0 ? side() : static_cast<std::uint32_t>(height * across / down), height};
}

/// By the names of the formats (image/formats.h).
struct SizeReader {
  std::string_view format;
  Size (*size)(Bytes);
};
constexpr std::array<SizeReader, 12> kSizes = {{{"JPEG", jpeg_size},
                                                {"PNG", png_size},
                                                {"WebP", webp_size},
                                                {"GIF", gif_size},
                                                {"BMP", bmp_size},
                                                {"PSD", psd_size},
                                                {"PNM", pnm_size},
                                                {"TGA", tga_size},
                                                {"TIFF", tiff_size},
                                                {"HEIF (HEIC)", heif_size},
                                                {"AVIF", heif_size},
                                                {"JPEG XL", jxl_size}}};

}  // namespace

PictureHeader picture_header(Bytes head) {
  const Format* const format = find_format(head.first(std::min(head.size(), kFormatHeadBytes)));
  if (format == nullptr) return {"other", 0, 0};
  const auto reader = std::ranges::find(kSizes, std::string_view(format->name), &SizeReader::format);
  Size size = reader == kSizes.end() ? Size{} : reader->size(head);
  if (size.width == 0 || size.height == 0) size = {};
  return {format->name, size.width, size.height};
}

std::optional<PictureHeader> read_picture_header(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> head(kHead);
  const auto header = [&](std::size_t from) {
    file.read(head.data() + from, static_cast<std::streamsize>(head.size() - from));
    head.resize(from + static_cast<std::size_t>(file.gcount()));
    return picture_header(std::as_bytes(std::span(head)));
  };
  if (!file) return std::nullopt;
  PictureHeader found = header(0);
  if (found.format != "other" && found.width == 0 && head.size() == kHead) {
    head.resize(kLongHead);
    found = header(kHead);
  }
  return head.empty() ? std::nullopt : std::optional(found);
}

}  // namespace lfm
