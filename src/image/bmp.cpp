// BMP, as Pillow reads it: headers of 12, 40, 52, 56, 64, 108 and 124 bytes; 1, 4, 8, 16, 24 and 32 bits; RLE4 and
// RLE8; rows from below or from the top. Alpha is dropped. What Pillow reads wrongly is refused.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "src/image/byte_reader.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

enum Compression : std::uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kMasks = 3, kJpeg = 4, kPng = 5, kAlphaMasks = 6 };

constexpr std::uint32_t kFileHeader = 14, kCoreHeader = 12, kInfoHeader = 40, kOs2Header = 64;

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
};

/// Where a pixel's colours lie in its bytes, little-endian.
struct Masks {
  std::uint32_t r, g, b, a;
  bool operator==(const Masks&) const = default;
};

struct Header {
  std::uint32_t size = 0;
  std::uint32_t width = 0, height = 0;
  bool top_down = false;
  std::uint32_t bits = 0;
  std::uint32_t compression = kRaw;
  std::uint32_t colors = 0;  ///< of the palette
  Masks masks{};
  std::uint64_t palette = 0;  ///< its position in the file
  std::uint64_t pixels = 0;   ///< their position in the file; 0: behind the palette
  std::uint32_t entry_bytes() const { return size == kCoreHeader ? 3 : 4; }
  bool has_palette() const { return bits <= 8; }
};

Header read_header(ByteReader& file) {
  Header header;
  file.seek(10);
  header.pixels = file.le32();
  header.size = file.le32();
  constexpr std::uint32_t known[] = {kCoreHeader, kInfoHeader, 52, 56, kOs2Header, 108, 124};
  if (std::find(std::begin(known), std::end(known), header.size) == std::end(known)) {
    refuse_variant(fmt::format("a BMP with a header of {} bytes", header.size));
  }
  if (header.size == kCoreHeader) {
    header.width = file.le16();
    header.height = file.le16();
    file.skip(2);  // planes
    header.bits = file.le16();
  } else {
    header.width = file.le32();
    header.height = file.le32();
    header.top_down = header.height >> 31 != 0;
    if (header.top_down) header.height = 0 - header.height;
    file.skip(2);
    header.bits = file.le16();
    header.compression = file.le32();
    file.skip(12);  // size of the pixels, resolution
    header.colors = file.le32();
    file.skip(4);  // important colours
    if (header.compression == kMasks) {
      header.masks = {file.le32(), file.le32(), file.le32(), 0};  // within the longer headers, behind the shortest
      if (header.size > 52) header.masks.a = file.le32();
    }
  }
  header.palette = std::max<std::uint64_t>(file.position(), kFileHeader + header.size);
  return header;
}

void check_variant(const Header& header) {
  const bool os2 = header.size == kOs2Header;
  const auto bits = header.bits;
  switch (header.compression) {
    case kRaw: break;
    case kRle8:
    case kRle4:
      if (!header.has_palette()) refuse_variant(fmt::format("an RLE-compressed BMP of {} bits", bits));
      break;
    case kMasks:
      if (os2 && bits == 1) refuse_variant("a Huffman-compressed BMP");
      if (header.has_palette()) refuse_variant(fmt::format("a BMP of {} bits with colour masks", bits));
      break;
    case kJpeg: refuse_variant(os2 ? "an RLE-compressed BMP of 24 bits" : "a BMP that holds a JPEG");
    case kPng: refuse_variant("a BMP that holds a PNG");
    case kAlphaMasks: refuse_variant("a BMP with alpha masks behind its header (BI_ALPHABITFIELDS)");
    default: refuse_variant(fmt::format("a BMP compressed by method {}", header.compression));
  }
  constexpr std::uint32_t known[] = {1, 4, 8, 16, 24, 32};
  if (std::find(std::begin(known), std::end(known), bits) == std::end(known)) {
    refuse_variant(fmt::format("a BMP of {} bits a pixel", bits));
  }
}

/// The colour of every index; what the palette lacks is black. Pillow takes a palette of ascending greys, or of black
/// and white, for none: each index is a grey of its own then, or white but for the first.
std::array<Rgb, 256> read_palette(ByteReader& file, const Header& header) {
  std::array<Rgb, 256> palette{};
  file.seek(header.palette);
  const std::uint32_t colors = std::min<std::uint32_t>(header.colors, 256), bytes = header.entry_bytes();
  const auto whole = static_cast<std::uint32_t>(std::min<std::uint64_t>(colors, file.left() / bytes));
  bool is_grey = whole == header.colors;
  for (std::uint32_t i = 0; i < whole; ++i) {
    const auto entry = file.take(bytes);
    palette[i] = {entry[2], entry[1], entry[0]};
    const std::uint32_t grey = header.colors == 2 ? 255 * i : i;
    is_grey = is_grey && entry[0] == grey && entry[1] == grey && entry[2] == grey;
  }
  if (is_grey) {
    if (header.colors <= 2 && header.bits > 1 && header.compression == kRaw) {
      refuse_variant(fmt::format("a BMP of {} bits with a palette of nothing but black and white", header.bits));
    }
    for (std::uint32_t i = 0; i < palette.size(); ++i) {
      const auto grey = static_cast<std::uint8_t>(header.colors <= 2 ? (i == 0 ? 0 : 255) : i);
      palette[i] = {grey, grey, grey};
    }
  }
  return palette;
}

/// Which byte of a 32-bit pixel holds which colour: Pillow's layouts alone.
struct ByteOrder {
  Masks masks;
  int r, g, b;
};
constexpr ByteOrder kByteOrders[] = {
    {{0x00ff0000, 0x0000ff00, 0x000000ff, 0x00000000}, 2, 1, 0},
    {{0x00ff0000, 0x0000ff00, 0x000000ff, 0xff000000}, 2, 1, 0},
    {{0xff000000, 0x00ff0000, 0x0000ff00, 0x00000000}, 3, 2, 1},
    {{0xff000000, 0x00ff0000, 0x0000ff00, 0x000000ff}, 3, 2, 1},
    {{0xff000000, 0x0000ff00, 0x000000ff, 0x00000000}, 3, 1, 0},
    {{0xff000000, 0x0000ff00, 0x000000ff, 0x00ff0000}, 3, 1, 0},
    {{0x000000ff, 0x0000ff00, 0x00ff0000, 0xff000000}, 0, 1, 2},
    {{0x00000000, 0x00000000, 0x00000000, 0x00000000}, 2, 1, 0},
};

/// How a pixel of 16, 24 or 32 bits becomes RGB.
struct PixelLayout {
  int r = 2, g = 1, b = 0;  ///< of 24 and 32 bits: the byte
  int green_bits = 5;       ///< of 16 bits: 5 or 6
};

PixelLayout pixel_layout(const Header& header) {
  PixelLayout layout;
  if (header.compression != kMasks) return layout;
  Masks masks = header.masks;
  if (header.bits == 32) {
    for (const ByteOrder& order : kByteOrders) {
      if (order.masks == masks) return {order.r, order.g, order.b, 0};
    }
  } else {
    masks.a = 0;
    if (header.bits == 24 && masks == Masks{0xff0000, 0xff00, 0xff, 0}) return layout;
    if (header.bits == 16 && masks == Masks{0x7c00, 0x3e0, 0x1f, 0}) return layout;
    layout.green_bits = 6;
    if (header.bits == 16 && masks == Masks{0xf800, 0x7e0, 0x1f, 0}) return layout;
  }
  refuse_variant(fmt::format("a BMP of {} bits with the colour masks {:x}, {:x}, {:x}, {:x}", header.bits,
                             header.masks.r, header.masks.g, header.masks.b, header.masks.a));
}

void convert_row(const std::uint8_t* row, std::uint32_t width, std::uint32_t bits, const PixelLayout& layout,
                 std::uint8_t* rgb) {
  if (bits == 16) {
    const unsigned green_mask = (1U << layout.green_bits) - 1;
    for (std::uint32_t x = 0; x < width; ++x, row += 2, rgb += 3) {
      const unsigned pixel = row[0] | row[1] << 8;
      rgb[0] = static_cast<std::uint8_t>((pixel >> (5 + layout.green_bits) & 31) * 255 / 31);
      rgb[1] = static_cast<std::uint8_t>((pixel >> 5 & green_mask) * 255 / green_mask);
      rgb[2] = static_cast<std::uint8_t>((pixel & 31) * 255 / 31);
    }
    return;
  }
  for (std::uint32_t x = 0; x < width; ++x, row += bits / 8, rgb += 3) {
    rgb[0] = row[layout.r], rgb[1] = row[layout.g], rgb[2] = row[layout.b];
  }
}

/// The palette indices of a run-length encoded picture, in the file's order of rows. What a jump leaves out is index
/// 0. Pillow's reading of what the format leaves open: a run ends with its row, a copied stretch does not.
std::vector<std::uint8_t> read_rle(ByteReader& file, const Header& header) {
  const bool nibbles = header.compression == kRle4;
  const std::uint64_t width = header.width, size = width * header.height;
  std::vector<std::uint8_t> indices(size);
  std::uint64_t at = 0, x = 0;
  while (at < size) {
    const std::uint32_t count = file.u8(), value = file.u8();
    if (count != 0) {
      const std::uint64_t run = std::min({std::uint64_t{count}, width - std::min(x, width), size - at});
      const auto first = static_cast<std::uint8_t>(nibbles ? value >> 4 : value);
      const auto second = static_cast<std::uint8_t>(nibbles ? value & 15 : value);
      for (std::uint64_t i = 0; i < run; ++i) indices[at + i] = i % 2 == 0 ? first : second;
      at += run;
      x += run;
    } else if (value == 0) {  // the row ends
      at += (width - at % width) % width;
      x = 0;
    } else if (value == 1) {  // the picture ends
      refuse_variant("an RLE-compressed BMP that leaves out its last pixels");
    } else if (value == 2) {  // a jump
      const std::uint64_t right = file.u8(), up = file.u8();
      at += std::min(size - at, right + up * width);
      x = at % width;
    } else {  // copied, up to an even position in the file
      const std::uint64_t copied = std::min<std::uint64_t>(value, size - at);
      const auto bytes = file.take(nibbles ? (copied + 1) / 2 : copied);
      for (std::uint64_t i = 0; i < copied; ++i) {
        indices[at + i] = !nibbles ? bytes[i] : i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15;
      }
      at += copied;
      x += value;
      file.skip(file.position() % 2);
    }
  }
  return indices;
}

void paint(std::span<const std::uint8_t> indices, const std::array<Rgb, 256>& palette, std::uint8_t* rgb) {
  for (const std::uint8_t index : indices) {
    *rgb++ = palette[index].r, *rgb++ = palette[index].g, *rgb++ = palette[index].b;
  }
}

}  // namespace

void decode_bmp(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  ByteReader file(bytes, "BMP");
  Header header = read_header(file);
  check_variant(header);
  check_size(header.width, header.height, limits);
  const PixelLayout layout = header.has_palette() ? PixelLayout{} : pixel_layout(header);
  std::array<Rgb, 256> palette{};
  if (header.has_palette()) {
    if (header.colors == 0) header.colors = 1U << header.bits;
    palette = read_palette(file, header);
    const std::uint64_t end = header.palette + std::uint64_t{header.entry_bytes()} * header.colors;
    if (header.pixels == 0 || header.pixels == kFileHeader + header.size) header.pixels = end;
    if (header.pixels == end && end > bytes.size()) {
      throw Error(ErrorCode::input,
                  "the BMP file is truncated or corrupt: it ends within its palette; export it again");
    }
  }
  file.seek(header.pixels != 0 ? header.pixels : header.palette);

  const auto destination = [&](Image& image, std::uint32_t row) {
    return &image.rgb[std::size_t{3} * header.width * (header.top_down ? row : header.height - 1 - row)];
  };
  const int width = static_cast<int>(header.width), height = static_cast<int>(header.height);
  if (header.compression == kRle8 || header.compression == kRle4) {
    const std::vector<std::uint8_t> indices = read_rle(file, header);
    Image image = make_image(width, height);
    for (std::uint32_t y = 0; y < header.height; ++y) {
      paint(std::span(indices).subspan(std::size_t{y} * header.width, header.width), palette, destination(image, y));
    }
    return sink.take(std::move(image));
  }

  const std::uint64_t row_bytes = (std::uint64_t{header.width} * header.bits + 7) / 8, stride = (row_bytes + 3) / 4 * 4;
  if (stride * (header.height - 1) + row_bytes > file.left()) file.fail_truncated();  // before memory is asked for
  Image image = make_image(width, height);
  std::vector<std::uint8_t> indices(header.has_palette() ? header.width : 0);
  for (std::uint32_t y = 0; y < header.height; ++y) {
    const auto row = file.take(row_bytes);
    file.skip(stride - row_bytes);
    if (header.has_palette()) {
      const unsigned per_byte = 8 / header.bits, mask = (1U << header.bits) - 1;
      for (std::uint32_t x = 0; x < header.width; ++x) {
        const unsigned shift = 8 - header.bits * (1 + x % per_byte);
        indices[x] = static_cast<std::uint8_t>(row[x / per_byte] >> shift & mask);
      }
      paint(indices, palette, destination(image, y));
    } else {
      convert_row(row.data(), header.width, header.bits, layout, destination(image, y));
    }
  }
  sink.take(std::move(image));
}

}  // namespace lfm
