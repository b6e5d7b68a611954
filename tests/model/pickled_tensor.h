// Pieces of a pickle of protocol 2, as torch.save writes them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lfm::test {

inline std::string pickled(std::int64_t value) {
  std::string out("\x8a\x08", 2);
  for (int i = 0; i < 8; ++i) out += static_cast<char>(static_cast<std::uint64_t>(value) >> 8 * i & 0xFF);
  return out;
}

inline std::string pickled(std::string_view text) {
  std::string out = "X";
  for (int i = 0; i < 4; ++i) out += static_cast<char>(text.size() >> 8 * i & 0xFF);
  return out.append(text);
}

inline std::string pickled_tuple(std::span<const std::int64_t> values) {
  std::string out = "(";
  for (const std::int64_t value : values) out += pickled(value);
  return out + "t";
}

/// torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())
inline std::string pickled_tensor(std::string_view storage_type, std::string_view key, std::int64_t elements,
                                  std::int64_t offset, std::span<const std::int64_t> shape,
                                  std::span<const std::int64_t> strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickled("storage") + "ctorch\n" + std::string(storage_type) + "\n" +
         pickled(key) + pickled("cpu") + pickled(elements) + "tQ" + pickled(offset) + pickled_tuple(shape) +
         pickled_tuple(strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

}  // namespace lfm::test
