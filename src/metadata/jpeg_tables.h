// What a JPEG's own tables and coefficients tell of how it was compressed.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace lfm {

struct JpegQuality {
  int quality = 0;        ///< 1 to 100, as libjpeg counts it
  bool is_exact = false;  ///< the luma table is libjpeg's own at that quality; else the one whose mean step is nearest
};

/// Of the first luma quantisation table; nothing where there is none. Never throws.
std::optional<JpegQuality> jpeg_quality(std::span<const std::byte> file);

/// Of the luma's low frequencies, how many have a histogram of coefficients with gaps, as a first compression with
/// other steps leaves them; of kJpegFrequencies. Nothing where the file can't be read, or is larger than 40 million
/// pixels.
inline constexpr int kJpegFrequencies = 9;
std::optional<int> jpeg_gaps(std::span<const std::byte> file);

}  // namespace lfm
