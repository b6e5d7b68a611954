// TGA has no signature: its header must be weighed.
#pragma once

#include <cstddef>
#include <span>

namespace lfm {

/// Whether the first 18 bytes are a TGA header without a contradiction. Other files pass once in many millions.
bool is_tga(std::span<const std::byte> head);

}  // namespace lfm
