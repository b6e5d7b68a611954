// Reads the fields of a picture file in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lfm/error.h"

namespace lfm {

/// Reading past the end throws Error{input}: the file, of the format named, is truncated.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, const char* format)
      : bytes_(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), format_(format) {}

  std::uint64_t position() const { return at_; }
  std::uint64_t left() const { return at_ < bytes_.size() ? bytes_.size() - at_ : 0; }
  void seek(std::uint64_t position) { at_ = position; }  ///< may lie beyond the end: the next read fails
  void skip(std::uint64_t count) { at_ += count; }       ///< counts come from fields of 32 bits: no overflow

  /// The next bytes, which become read.
  std::span<const std::uint8_t> take(std::uint64_t count) {
    if (count > left()) fail_truncated();
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }

  std::uint8_t u8() { return take(1)[0]; }
  std::uint16_t le16() { return static_cast<std::uint16_t>(number<2>(false)); }
  std::uint16_t be16() { return static_cast<std::uint16_t>(number<2>(true)); }
  std::uint32_t le32() { return number<4>(false); }
  std::uint32_t be32() { return number<4>(true); }

  [[noreturn]] void fail_truncated() const {
    throw Error(ErrorCode::input, std::string("the ") + format_ +
                                      " file is truncated: it ends before the picture does; copy or download it again");
  }

 private:
  template <std::size_t N>
  std::uint32_t number(bool big_endian) {
    const auto bytes = take(N);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < N; ++i) value = value << 8 | bytes[big_endian ? i : N - 1 - i];
    return value;
  }

  std::span<const std::uint8_t> bytes_;
  const char* format_;
  std::uint64_t at_ = 0;
};

}  // namespace lfm
