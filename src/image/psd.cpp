// PSD: the merged picture that Photoshop writes behind the layers, as Pillow reads it: bilevel, grey, duotone,
// indexed, RGB and CMYK, raw or packed. Alpha and saved selections are left out. Of 16 bits, which Pillow doesn't
// read, the high byte is kept. What Pillow reads wrongly is refused.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "src/image/byte_reader.h"
#include "src/image/cmyk.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

enum Mode { kBilevel = 0, kGrey = 1, kIndexed = 2, kRgb = 3, kCmyk = 4, kMultichannel = 7, kDuotone = 8, kLab = 9 };

constexpr unsigned kPaletteColors = 256;

struct Header {
  unsigned channels = 0;
  std::uint32_t width = 0, height = 0;
  unsigned depth = 0;  ///< bits a sample
  unsigned mode = 0;

  unsigned colors() const { return mode == kRgb ? 3 : mode == kCmyk ? 4 : 1; }  ///< channels that make the picture
  std::uint64_t row_bytes() const { return (std::uint64_t{width} * depth + 7) / 8; }
};

Header read_header(ByteReader& file) {
  Header header;
  file.skip(4);
  if (file.be16() != 1) refuse_variant("a PSB, Photoshop's format for large pictures");
  file.skip(6);
  header.channels = file.be16();
  header.height = file.be32();
  header.width = file.be32();
  header.depth = file.be16();
  header.mode = file.be16();
  return header;
}

void check_variant(const Header& header) {
  static constexpr std::pair<unsigned, const char*> modes[] = {
      {kBilevel, "bilevel"},           {kGrey, "greyscale"},  {kIndexed, "indexed"}, {kRgb, "RGB"}, {kCmyk, "CMYK"},
      {kMultichannel, "multichannel"}, {kDuotone, "duotone"}, {kLab, "Lab"}};
  const auto* mode = std::find_if(std::begin(modes), std::end(modes), [&](auto& m) { return m.first == header.mode; });
  if (mode == std::end(modes)) refuse_variant(fmt::format("a PSD of colour mode {}", header.mode));
  const bool deep = header.depth == 16 && (header.mode == kGrey || header.mode == kRgb || header.mode == kCmyk);
  const bool usual = header.depth == 8 || (header.depth == 1 && header.mode == kBilevel);
  if (header.mode == kLab || !(usual || deep)) {
    refuse_variant(fmt::format("a PSD ({}, {} bits a channel)", mode->second, header.depth));
  }
  if (header.channels < header.colors()) {
    throw Error(ErrorCode::input,
                fmt::format("the PSD file is corrupt: it has {} channels, its mode, {}, needs {}; export it "
                            "again",
                            header.channels, mode->second, header.colors()));
  }
}

/// A channel's rows, packed by PackBits: read as one stream, a run ends with its row.
std::vector<std::uint8_t> unpack(ByteReader& file, std::size_t row_bytes, std::size_t rows) {
  std::vector<std::uint8_t> plane(row_bytes * rows);
  for (std::size_t at = 0; at < plane.size();) {
    const unsigned packet = file.u8();
    if (packet == 128) continue;
    const bool repeated = packet > 128;
    const std::size_t count = repeated ? 257 - packet : packet + 1;
    const auto data = file.take(repeated ? 1 : count);
    const std::size_t kept = std::min(count, row_bytes - at % row_bytes);
    for (std::size_t i = 0; i < kept; ++i) plane[at++] = data[repeated ? 0 : i];
  }
  return plane;
}

/// Gives each sample of a channel, as 8 bits, to put(pixel, value).
template <typename Put>
void each_sample(std::span<const std::uint8_t> plane, const Header& header, Put&& put) {
  const std::size_t row_bytes = header.row_bytes(), bytes = header.depth / 8;
  for (std::size_t y = 0; y < header.height; ++y) {
    const std::uint8_t* row = &plane[row_bytes * y];
    for (std::size_t x = 0; x < header.width; ++x) {
      const unsigned value = header.depth == 1 ? (row[x / 8] >> (7 - x % 8) & 1) * 255 : row[bytes * x];
      put(y * header.width + x, static_cast<std::uint8_t>(value));
    }
  }
}

}  // namespace

void decode_psd(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  ByteReader file(bytes, "PSD");
  const Header header = read_header(file);
  check_variant(header);
  check_size(header.width, header.height, limits);

  // Its reds, then its greens, then its blues.
  std::array<std::uint8_t, 3 * kPaletteColors> palette{};
  const std::uint32_t mode_bytes = file.be32();
  if (header.mode == kIndexed && mode_bytes != palette.size()) refuse_variant("an indexed PSD without its palette");
  const auto mode_data = file.take(mode_bytes);
  if (header.mode == kIndexed) std::copy(mode_data.begin(), mode_data.end(), palette.begin());
  file.skip(file.be32());  // image resources
  file.skip(file.be32());  // layers
  const unsigned compression = file.be16();
  if (compression > 1) refuse_variant("a zip-compressed PSD");
  const unsigned colors = header.colors();
  const bool has_alpha = header.mode == kRgb && header.channels == 4;
  if (compression == 1 && header.channels > colors && !has_alpha) {
    refuse_variant(
        "a packed PSD with saved selections or other extra channels");  // Pillow takes it for another, and misreads it
  }

  const std::uint64_t row_bytes = header.row_bytes(), plane_bytes = row_bytes * header.height;
  std::vector<std::uint64_t> begins;  // where each channel's data begins
  if (compression == 0) {
    if (plane_bytes * colors > file.left()) file.fail_truncated();  // before memory is asked for
    for (unsigned c = 0; c < colors; ++c) begins.push_back(file.position() + c * plane_bytes);
  } else {
    std::uint64_t begin = file.position() + std::uint64_t{2} * header.channels * header.height;
    for (unsigned c = 0; c < colors; ++c) {
      begins.push_back(begin);
      for (std::uint32_t y = 0; y < header.height; ++y) begin += file.be16();
    }
  }

  Image image = make_image(static_cast<int>(header.width), static_cast<int>(header.height));
  std::vector<std::uint8_t> cmyk(header.mode == kCmyk ? std::size_t{4} * header.width * header.height : 0);
  for (unsigned c = 0; c < colors; ++c) {
    file.seek(begins[c]);
    std::vector<std::uint8_t> unpacked;
    if (compression == 1) unpacked = unpack(file, row_bytes, header.height);
    const auto plane = compression == 1 ? std::span<const std::uint8_t>(unpacked) : file.take(plane_bytes);
    each_sample(plane, header, [&](std::size_t pixel, std::uint8_t value) {
      std::uint8_t* rgb = &image.rgb[3 * pixel];
      if (header.mode == kCmyk) {
        cmyk[4 * pixel + c] = value;
      } else if (header.mode == kRgb) {
        rgb[c] = value;
      } else if (header.mode == kIndexed) {
        for (unsigned i = 0; i < 3; ++i) rgb[i] = palette[kPaletteColors * i + value];
      } else {
        std::memset(rgb, value, 3);
      }
    });
  }
  for (std::size_t pixel = 0; 4 * pixel < cmyk.size(); ++pixel) cmyk_to_rgb(&cmyk[4 * pixel], &image.rgb[3 * pixel]);
  sink.take(std::move(image));
}

}  // namespace lfm
