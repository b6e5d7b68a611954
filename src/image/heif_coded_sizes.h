// The sizes that the pictures within a HEIF or AVIF file claim for themselves, beside the one that the file gives them:
// decoders allocate for the former.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lfm {

struct CodedSize {
  std::uint64_t width = 0;
  std::uint64_t height = 0;
};

/// Of every sequence header of HEVC and AV1 in the file's items and their properties, and of every grid and overlay.
/// Never throws but for lack of memory: what can't be read is left out, as decoders refuse it.
std::vector<CodedSize> heif_coded_sizes(std::span<const std::byte> file);

}  // namespace lfm
