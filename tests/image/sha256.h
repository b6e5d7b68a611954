// The digest of pixels, as expected.json files have it.
#pragma once

#include <openssl/sha.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lfm::test {

inline std::string sha256(const std::vector<std::uint8_t>& bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(bytes.data(), bytes.size(), digest);
  std::string text;
  for (const unsigned char byte : digest) {
    constexpr char digits[] = "0123456789abcdef";
    text += {digits[byte >> 4], digits[byte & 15]};
  }
  return text;
}

}  // namespace lfm::test
