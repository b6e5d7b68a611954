#include "src/image/heif_coded_sizes.h"

#include <algorithm>

#include "src/image/boxes.h"
#include "src/image/heif_layout.h"

namespace lfm {
namespace {

using Bytes = std::span<const std::byte>;

Bytes first_of(Bytes bytes, std::uint64_t count) {
  return bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(count, bytes.size())));
}

/// Reads bits, the most significant first; zeros beyond the end.
class Bits {
 public:
  explicit Bits(Bytes bytes) : bytes_(bytes) {}
  std::uint64_t next(unsigned count) {
    std::uint64_t value = 0;
    for (; count > 0; --count, ++at_) value = value << 1 | (big_endian_at(bytes_, at_ / 8, 1) >> (7 - at_ % 8) & 1);
    return value;
  }
  void skip(std::uint64_t count) { at_ += count; }
  bool done() const { return at_ >= 8 * bytes_.size(); }
  /// HEVC's ue(v), which is AV1's uvlc() too.
  std::uint64_t exp_golomb() {
    unsigned zeros = 0;
    while (zeros < 32 && !done() && next(1) == 0) ++zeros;
    return (std::uint64_t{1} << zeros) - 1 + next(zeros);
  }

 private:
  Bytes bytes_;
  std::uint64_t at_ = 0;
};

// ---- AV1 (specification, 5.5) ----

CodedSize av1_sequence(Bytes header) {
  Bits in(header);
  in.skip(4);             // profile, still_picture
  if (in.next(1) == 1) {  // reduced_still_picture_header
    in.skip(5);
  } else {
    unsigned delay_bits = 0;
    if (in.next(1) == 1) {  // timing_info
      in.skip(64);
      if (in.next(1) == 1) in.exp_golomb();
      if (in.next(1) == 1) {  // decoder_model_info
        delay_bits = static_cast<unsigned>(in.next(5)) + 1;
        in.skip(32 + 5 + 5);
      }
    }
    const bool has_display_delay = in.next(1) == 1;
    for (std::uint64_t points = in.next(5) + 1; points > 0; --points) {
      in.skip(12);
      if (in.next(5) > 7) in.skip(1);  // the level, and the tier of high ones
      if (delay_bits > 0 && in.next(1) == 1) in.skip(2 * delay_bits + 1);
      if (has_display_delay && in.next(1) == 1) in.skip(4);
    }
  }
  const auto width_bits = static_cast<unsigned>(in.next(4)) + 1, height_bits = static_cast<unsigned>(in.next(4)) + 1;
  const std::uint64_t width = in.next(width_bits) + 1, height = in.next(height_bits) + 1;
  return {width, height};
}

void read_av1(Bytes data, std::vector<CodedSize>& sizes) {
  while (!data.empty()) {
    const auto head = static_cast<unsigned>(data[0]);
    constexpr unsigned sequence_header = 1;
    std::uint64_t at = (head & 4) != 0 ? 2 : 1, length = data.size() - std::min<std::uint64_t>(at, data.size());
    if ((head & 2) != 0) {  // its length, seven bits a byte, the least significant first
      length = 0;
      for (unsigned i = 0; i < 8; ++i) {
        const std::uint64_t byte = big_endian_at(data, at++, 1);
        length |= (byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) break;
      }
    }
    const Bytes rest = bytes_from(data, at);
    const Bytes unit = first_of(rest, length);
    if ((head >> 3 & 15) == sequence_header) sizes.push_back(av1_sequence(unit));
    data = rest.subspan(unit.size());
  }
}

// ---- HEVC (ITU-T H.265, 7.3.2.2) ----

CodedSize hevc_sequence(Bytes unit) {
  std::vector<std::byte> plain;  // without the bytes that keep start codes out
  constexpr std::size_t enough = 256;
  for (std::size_t i = 2, zeros = 0; i < unit.size() && plain.size() < enough; ++i) {
    const bool is_filler = zeros >= 2 && unit[i] == std::byte{3};
    if (!is_filler) plain.push_back(unit[i]);
    zeros = unit[i] == std::byte{0} ? zeros + 1 : 0;
  }
  Bits in(plain);
  in.skip(4);
  const std::uint64_t layers = in.next(3);  // below the highest
  in.skip(1 + 88 + 8);
  bool has_profile[8] = {}, has_level[8] = {};
  for (std::uint64_t i = 0; layers > 0 && i < 8; ++i) {
    has_profile[i] = in.next(1) == 1 && i < layers;
    has_level[i] = in.next(1) == 1 && i < layers;
  }
  for (std::uint64_t i = 0; i < layers; ++i) in.skip((has_profile[i] ? 88u : 0u) + (has_level[i] ? 8u : 0u));
  in.exp_golomb();
  if (in.exp_golomb() == 3) in.skip(1);
  const std::uint64_t width = in.exp_golomb(), height = in.exp_golomb();
  return {width, height};
}

void read_hevc_unit(Bytes unit, std::vector<CodedSize>& sizes) {
  constexpr std::uint64_t sequence_parameters = 33;
  if (unit.size() > 2 && (big_endian_at(unit, 0, 1) >> 1 & 63) == sequence_parameters)
    sizes.push_back(hevc_sequence(unit));
}

/// Units behind their lengths.
void read_hevc(Bytes data, unsigned length_bytes, std::vector<CodedSize>& sizes) {
  while (data.size() > length_bytes) {
    const Bytes rest = data.subspan(length_bytes);
    const Bytes unit = first_of(rest, big_endian_at(data, 0, length_bytes));
    read_hevc_unit(unit, sizes);
    data = rest.subspan(unit.size());
  }
}

/// hvcC: arrays of units.
void read_hevc_configuration(Bytes body, std::vector<CodedSize>& sizes) {
  std::uint64_t at = 23;
  for (std::uint64_t arrays = big_endian_at(body, 22, 1); arrays > 0 && at < body.size(); --arrays) {
    const std::uint64_t units = big_endian_at(body, at + 1, 2);
    at += 3;
    for (std::uint64_t i = 0; i < units && at < body.size(); ++i) {
      const std::uint64_t length = big_endian_at(body, at, 2);
      const Bytes rest = bytes_from(body, at + 2);
      read_hevc_unit(first_of(rest, length), sizes);
      at += 2 + length;
    }
  }
}

// ---- pictures made of others ----

/// A grid's or an overlay's canvas: version, flags, then 2 or 8 bytes before two numbers of 2 or 4 bytes.
CodedSize canvas(Bytes body, std::uint64_t at) {
  const unsigned bytes = (big_endian_at(body, 1, 1) & 1) != 0 ? 4 : 2;
  return {big_endian_at(body, at, bytes), big_endian_at(body, at + bytes, bytes)};
}

}  // namespace

std::vector<CodedSize> heif_coded_sizes(Bytes file) {
  std::vector<CodedSize> sizes;
  for (const Box& property : heif_properties(file)) {
    if (property.type == "hvcC") read_hevc_configuration(property.body, sizes);
    if (property.type == "av1C") read_av1(bytes_from(property.body, 4), sizes);
  }
  std::size_t left = file.size();  // of bytes in pieces to be put together, which may overlap
  for (const HeifItem& item : heif_items(file)) {
    if (item.type != "hvc1" && item.type != "av01" && item.type != "grid" && item.type != "iovl") continue;
    std::vector<std::byte> whole;
    Bytes data = item.pieces.empty() ? Bytes() : item.pieces[0];
    if (item.pieces.size() > 1) {
      for (const Bytes piece : item.pieces) {
        const std::size_t taken = std::min(piece.size(), left);
        whole.insert(whole.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(taken));
        left -= taken;
      }
      data = whole;
    }
    if (item.type == "av01") read_av1(data, sizes);
    if (item.type == "hvc1") read_hevc(data, 4, sizes);
    if (item.type == "grid" && !data.empty()) sizes.push_back(canvas(data, 4));
    if (item.type == "iovl" && !data.empty()) sizes.push_back(canvas(data, 10));
  }
  return sizes;
}

}  // namespace lfm
