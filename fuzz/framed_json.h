// Files of this project's formats around a JSON header, which is what there is to fuzz in them: a model's parameters
// would make an input of 3 MB, of which nearly every change is one more weight. So an input that begins with '{' is
// taken for a header alone and gets the rest, zeros as many as a model has; any other input is a whole file.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "fuzz/fuzz.h"
#include "src/model/container.h"

namespace lfm::fuzz {

inline constexpr std::size_t kLongestHeader = 64 << 10;

/// Zeros with room in front for the head of a file, which thus needn't be copied together.
class ZeroFilled {
 public:
  explicit ZeroFilled(std::size_t zeros) : bytes_(kLongestHeader + zeros) {}
  /// head, then the zeros.
  Bytes after(std::string_view head) {
    std::byte* begin = bytes_.data() + kLongestHeader - head.size();
    std::memcpy(begin, head.data(), head.size());
    return {begin, bytes_.data() + bytes_.size()};
  }

 private:
  std::vector<std::byte> bytes_;
};

template <typename T>
void store(std::string& file, std::size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof value);
}

/// A container's size and checksum made right (src/model/container.h).
inline void seal_container(std::span<std::byte> file) {
  if (file.size() < kContainerPrefix) return;
  const std::uint64_t size = file.size();
  std::memcpy(file.data() + 16, &size, sizeof size);
  const std::uint64_t checksum = container_checksum(file);
  std::memcpy(file.data() + 32, &checksum, sizeof checksum);
}

/// Headers grow by blanks to a multiple of this, so that a change of their length does not move every tensor.
inline constexpr std::size_t kHeaderStep = 2048;

/// What precedes the first tensor of a container with this header.
inline std::string container_head(std::string_view header) {
  const std::size_t size = (header.size() / kHeaderStep + 1) * kHeaderStep;
  std::string head(kContainerPrefix, '\0');
  head.replace(0, kContainerMagic.size(), kContainerMagic);
  store(head, 8, kContainerVersion);
  store(head, 24, std::uint64_t{size});
  head.append(header).append(size - header.size(), ' ');
  return head;
}

/// Calls read(file) with what the input stands for, once or, of a whole file, also with the right size and checksum.
template <typename Read>
void with_container(Bytes input, ZeroFilled& zeros, Read&& read) {
  if (!input.empty() && input[0] == std::byte{'{'}) {
    if (input.size() + kHeaderStep + kContainerPrefix > kLongestHeader) return;
    const Bytes file = zeros.after(container_head(text_of(input)));
    seal_container({const_cast<std::byte*>(file.data()), file.size()});
    read(file);
    return;
  }
  read(input);
  std::vector<std::byte> sealed = copy_of(input);
  seal_container(sealed);
  read(Bytes(sealed));
}

}  // namespace lfm::fuzz
