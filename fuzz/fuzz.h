// What the fuzz targets share. A target is a file with one LLVMFuzzerTestOneInput; what it calls may throw lfm::Error
// and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "lfm/error.h"

namespace lfm::fuzz {

using Bytes = std::span<const std::byte>;

inline Bytes bytes_of(const std::uint8_t* data, std::size_t size) { return std::as_bytes(std::span(data, size)); }

inline std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Whether the input was taken; an Error is a refusal. Any other exception ends the run, as a finding.
template <typename Function>
bool accepts(Function&& function) {
  try {
    function();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// A property that holds for every input.
inline void demand(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", property);
  std::abort();
}

/// The input in a block of exactly its size: reads beyond it show.
inline std::vector<std::byte> copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace lfm::fuzz
