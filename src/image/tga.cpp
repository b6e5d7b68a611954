// TGA, as Pillow reads it: palettes of 16, 24 and 32 bits, grey of 1, 8 and 16 bits (the second byte is alpha),
// colour of 16, 24 and 32 bits, run-length encoded or not, in all four orientations. Alpha is dropped. 15 bits are
// read as 16, and runs may go on in the next row, which Pillow leaves to copied stretches.
#include "src/image/tga.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "src/image/byte_reader.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

constexpr std::size_t kHeaderBytes = 18;

enum Kind { kPalette = 1, kColor = 2, kGrey = 3 };

struct Header {
  unsigned id_bytes = 0;
  bool has_palette = false;
  unsigned type = 0;
  unsigned first_color = 0, colors = 0, color_bits = 0;
  unsigned width = 0, height = 0;
  unsigned bits = 0;
  unsigned flags = 0;

  unsigned kind() const { return type & 7; }
  bool is_rle() const { return (type & 8) != 0; }
  bool right_to_left() const { return (flags & 0x10) != 0; }
  bool top_down() const { return (flags & 0x20) != 0; }
  bool interleaved() const { return (flags & 0xc0) != 0; }
};

Header read_header(ByteReader& file) {
  Header header;
  header.id_bytes = file.u8();
  const unsigned palette = file.u8();
  header.has_palette = palette == 1;
  header.type = palette > 1 ? 0 : file.u8();
  header.first_color = file.le16();
  header.colors = file.le16();
  header.color_bits = file.u8();
  file.skip(4);  // origin
  header.width = file.le16();
  header.height = file.le16();
  header.bits = file.u8();
  header.flags = file.u8();
  return header;
}

bool is_one_of(unsigned value, std::initializer_list<unsigned> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

unsigned bytes_of(unsigned bits) { return (bits + 7) / 8; }

/// The colour of a palette entry or pixel of 15, 16, 24 or 32 bits.
void convert_color(const std::uint8_t* in, unsigned bytes, std::uint8_t* rgb) {
  if (bytes == 2) {
    const unsigned value = in[0] | in[1] << 8;
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>((value >> (10 - 5 * c) & 31) * 255 / 31);
  } else {
    rgb[0] = in[2], rgb[1] = in[1], rgb[2] = in[0];
  }
}

/// Entries before the first and after the last are black.
using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

Palette read_palette(ByteReader& file, const Header& header) {
  Palette palette{};
  const unsigned bytes = bytes_of(header.color_bits);
  const auto entries = file.take(std::uint64_t{bytes} * header.colors);
  for (unsigned i = 0; i < header.colors && header.first_color + i < palette.size(); ++i) {
    convert_color(&entries[std::size_t{bytes} * i], bytes, palette[header.first_color + i].data());
  }
  return palette;
}

/// The pixels' bytes, unpacked.
std::vector<std::uint8_t> read_runs(ByteReader& file, std::size_t size, unsigned bytes) {
  std::vector<std::uint8_t> pixels(size);
  for (std::size_t at = 0; at < size;) {
    const unsigned packet = file.u8(), count = (packet & 0x7f) + 1;
    const bool repeated = (packet & 0x80) != 0;
    const auto data = file.take(std::size_t{bytes} * (repeated ? 1 : count));
    for (std::size_t i = 0; i < std::size_t{bytes} * count && at < size; ++i)
      pixels[at++] = data[repeated ? i % bytes : i];
  }
  return pixels;
}

void convert_row(const std::uint8_t* row, const Header& header, const Palette& palette, std::uint8_t* rgb) {
  const unsigned bytes = bytes_of(header.bits);
  for (unsigned i = 0; i < header.width; ++i, rgb += 3) {
    const unsigned x = header.right_to_left() ? header.width - 1 - i : i;
    if (header.kind() == kPalette) {
      std::memcpy(rgb, palette[row[x]].data(), 3);
    } else if (header.kind() == kColor) {
      convert_color(&row[std::size_t{bytes} * x], bytes, rgb);
    } else {
      const unsigned grey = header.bits > 1 ? row[std::size_t{bytes} * x] : (row[x / 8] >> (7 - x % 8) & 1) * 255;
      std::memset(rgb, static_cast<int>(grey), 3);
    }
  }
}

}  // namespace

bool is_tga(std::span<const std::byte> head) {
  if (head.size() < kHeaderBytes) return false;
  ByteReader file(head, "TGA");
  const Header header = read_header(file);
  if (header.width == 0 || header.height == 0 || !is_one_of(header.type, {1, 2, 3, 9, 10, 11})) return false;
  if (header.has_palette && !is_one_of(header.color_bits, {15, 16, 24, 32})) return false;
  if ((header.flags & 15) > 8) return false;  // bits of alpha
  switch (header.kind()) {
    case kPalette: return header.has_palette && header.colors > 0 && is_one_of(header.bits, {8, 16});
    case kColor: return is_one_of(header.bits, {15, 16, 24, 32});
    default: return is_one_of(header.bits, {1, 8, 16});
  }
}

void decode_tga(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  ByteReader file(bytes, "TGA");
  const Header header = read_header(file);
  check_size(header.width, header.height, limits);
  if (header.interleaved()) refuse_variant("an interleaved TGA");
  if (header.kind() == kPalette && header.bits != 8) refuse_variant("a TGA with palette indices of 16 bits");
  if (header.bits == 1 && header.is_rle()) refuse_variant("a run-length encoded TGA of 1 bit");

  if (header.has_palette && header.kind() == kGrey)
    refuse_variant("a greyscale TGA with a palette");  // Pillow looks it up

  file.skip(header.id_bytes);
  const Palette palette = header.has_palette ? read_palette(file, header) : Palette{};
  const std::size_t row_bytes = (std::size_t{header.width} * (header.bits == 15 ? 16 : header.bits) + 7) / 8;
  const std::size_t size = row_bytes * header.height;
  std::vector<std::uint8_t> unpacked;
  if (header.is_rle()) {
    constexpr std::size_t longest_run = 128;
    if (size / longest_run > file.left()) file.fail_truncated();  // before memory is asked for
    unpacked = read_runs(file, size, bytes_of(header.bits));
  }
  const auto pixels = header.is_rle() ? std::span<const std::uint8_t>(unpacked) : file.take(size);
  Image image = make_image(static_cast<int>(header.width), static_cast<int>(header.height));
  for (unsigned i = 0; i < header.height; ++i) {
    const unsigned y = header.top_down() ? i : header.height - 1 - i;
    convert_row(&pixels[row_bytes * i], header, palette, &image.rgb[std::size_t{3} * header.width * y]);
  }
  sink.take(std::move(image));
}

}  // namespace lfm
