// PNM, as Pillow reads it: P1 to P6, with any largest sample up to 65535. Of grey of more than 8 bits, which Pillow
// clips at 255, the high byte is kept, as of a PNG's.
#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "src/image/byte_reader.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

constexpr std::size_t kLongestNumber = 10;  ///< digits

bool is_space(std::uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorCode::input, std::string("the PNM ") + what + "; export it again");
}

void skip_comment(ByteReader& file) {
  for (std::uint8_t byte = 0; file.left() > 0 && byte != '\n' && byte != '\r';) byte = file.u8();
}

/// The next number and the one white space behind it. A comment may stand anywhere, even within a number.
std::uint64_t read_number(ByteReader& file, const char* malformed) {
  std::uint64_t value = 0;
  std::size_t digits = 0;
  while (file.left() > 0) {
    const std::uint8_t byte = file.u8();
    if (byte == '#') {
      skip_comment(file);
    } else if (is_space(byte)) {
      if (digits > 0) return value;
    } else if (byte < '0' || byte > '9' || digits == kLongestNumber) {
      fail(malformed);
    } else {
      value = value * 10 + (byte - '0');
      ++digits;
    }
  }
  if (digits == 0) file.fail_truncated();
  return value;
}

/// A digit of P1, where nothing need stand between two.
unsigned read_bit(ByteReader& file) {
  for (;;) {
    const std::uint8_t byte = file.u8();
    if (byte == '#') {
      skip_comment(file);
    } else if (byte == '0' || byte == '1') {
      return byte - '0';
    } else if (!is_space(byte)) {
      fail("file holds something else than 0 and 1");
    }
  }
}

struct Header {
  int kind = 0;  ///< the digit behind the P
  std::uint64_t width = 0, height = 0;
  std::uint64_t maximum = 1;  ///< the largest sample

  bool is_plain() const { return kind <= 3; }
  bool is_bilevel() const { return kind == 1 || kind == 4; }
  unsigned channels() const { return kind == 3 || kind == 6 ? 3 : 1; }
  unsigned sample_bytes() const { return maximum < 256 ? 1 : 2; }
};

Header read_header(ByteReader& file) {
  constexpr const char* malformed = "header is malformed";
  Header header;
  file.skip(1);
  header.kind = file.u8() - '0';
  file.skip(1);  // white space, as the format was told by
  header.width = read_number(file, malformed);
  header.height = read_number(file, malformed);
  if (header.is_bilevel()) return header;
  header.maximum = read_number(file, malformed);
  if (header.maximum < 1 || header.maximum > 65535) fail("header is malformed: its largest sample must be 1 to 65535");
  return header;
}

/// What a sample becomes: value/maximum of the range, rounded half to even in double as Python rounds it.
std::vector<std::uint8_t> sample_table(const Header& header) {
  const bool keeps_high_byte = header.channels() == 1 && header.maximum > 255;
  const double range = keeps_high_byte ? 65535 : 255, maximum = static_cast<double>(header.maximum);
  std::vector<std::uint8_t> table(header.sample_bytes() == 1 ? 256 : 65536);
  for (std::size_t value = 0; value < table.size(); ++value) {
    const double scaled = std::min(range, std::nearbyint(static_cast<double>(value) / maximum * range));
    table[value] = static_cast<std::uint8_t>(static_cast<unsigned>(scaled) >> (keeps_high_byte ? 8 : 0));
  }
  return table;
}

void read_bilevel(ByteReader& file, const Header& header, Image& image) {
  std::uint8_t* rgb = image.rgb.data();
  for (std::uint64_t y = 0; y < header.height; ++y) {
    const auto row = header.is_plain() ? std::span<const std::uint8_t>() : file.take((header.width + 7) / 8);
    for (std::uint64_t x = 0; x < header.width; ++x, rgb += 3) {
      const unsigned black = header.is_plain() ? read_bit(file) : row[x / 8] >> (7 - x % 8) & 1;
      std::memset(rgb, black != 0 ? 0 : 255, 3);
    }
  }
}

void read_samples(ByteReader& file, const Header& header, Image& image) {
  const std::vector<std::uint8_t> table = sample_table(header);
  const unsigned repeats = 3 / header.channels();
  for (std::size_t i = 0; i < image.rgb.size(); i += repeats) {
    std::uint64_t value = 0;
    if (!header.is_plain()) {
      value = header.sample_bytes() == 1 ? file.u8() : file.be16();
    } else {
      value = read_number(file, "file holds something else than numbers");
      if (value > header.maximum) fail("file holds a sample above its largest");
    }
    std::memset(&image.rgb[i], table[value], repeats);
  }
}

}  // namespace

void decode_pnm(Bytes bytes, const DecodeLimits& limits, PixelSink& sink) {
  ByteReader file(bytes, "PNM");
  const Header header = read_header(file);
  check_size(header.width, header.height, limits);
  // The least that the pixels take, before memory is asked for them.
  const std::uint64_t samples = header.width * header.height * header.channels();
  const std::uint64_t least = header.kind == 4    ? (header.width + 7) / 8 * header.height
                              : header.kind == 1  ? samples
                              : header.is_plain() ? 2 * samples - 1
                                                  : samples * header.sample_bytes();
  if (least > file.left()) file.fail_truncated();
  Image image = make_image(static_cast<int>(header.width), static_cast<int>(header.height));
  header.is_bilevel() ? read_bilevel(file, header, image) : read_samples(file, header, image);
  sink.take(std::move(image));
}

}  // namespace lfm
