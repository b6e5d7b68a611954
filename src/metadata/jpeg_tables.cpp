// clang-format off
#include <cstdio>  // jpeglib.h needs it
#include <jpeglib.h>
// clang-format on

#include "src/metadata/jpeg_tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "src/image/boxes.h"
#include "src/image/jpeg_errors.h"

namespace lfm {
namespace {

using Bytes = std::span<const std::byte>;

/// Annex K's luma table, which libjpeg scales, in zigzag order.
constexpr std::array<int, 64> kLuma = {16, 11, 12,  14,  12,  10, 16, 14,  13,  14,  18,  17,  16, 19,  24,  40,
                                       26, 24, 22,  22,  24,  49, 35, 37,  29,  40,  58,  51,  61, 60,  57,  51,
                                       56, 55, 64,  72,  92,  78, 64, 68,  87,  69,  55,  56,  80, 109, 81,  87,
                                       95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99};

std::array<int, 64> table_at(int quality) {
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  std::array<int, 64> table{};
  for (std::size_t i = 0; i < 64; ++i) table[i] = std::clamp((kLuma[i] * scale + 50) / 100, 1, 255);
  return table;
}

std::optional<std::array<int, 64>> luma_table(Bytes file) {
  for (std::size_t at = 2; at + 4 <= file.size() && file[at] == std::byte{0xff};) {
    const auto marker = static_cast<unsigned>(file[at + 1]);
    if (marker == 0xff) {
      ++at;
      continue;
    }
    const std::uint64_t length = big_endian_at(file, at + 2, 2);
    if (marker == 0xda || marker == 0xd9 || length < 2 || length > file.size() - at - 2) break;
    Bytes segment = file.subspan(at + 4, static_cast<std::size_t>(length) - 2);
    while (marker == 0xdb && !segment.empty()) {
      const auto head = static_cast<unsigned>(segment[0]);
      const unsigned bytes = head >> 4 == 0 ? 1 : 2;
      if (segment.size() < 1 + 64 * bytes) break;
      if ((head & 15) == 0) {
        std::array<int, 64> table{};
        for (unsigned i = 0; i < 64; ++i) table[i] = static_cast<int>(big_endian_at(segment, 1 + bytes * i, bytes));
        return table;
      }
      segment = segment.subspan(1 + std::size_t{64} * bytes);
    }
    at += 2 + static_cast<std::size_t>(length);
  }
  return std::nullopt;
}

// ---- coefficients ----

void on_progress(j_common_ptr common) {
  constexpr int most_scans = 100;
  if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number <= most_scans) return;
  trap_of(common).raise(ErrorCode::input, "the JPEG file has too many scans", "signs are not looked for");
}

constexpr int kLevels = 48;  ///< coefficients of a size up to this are counted
using Histogram = std::array<std::uint32_t, kLevels + 1>;

/// The next nine coefficients after the mean, in zigzag order; where they stand in a block.
constexpr std::array<int, kJpegFrequencies> kPlaces = {1, 8, 16, 9, 2, 3, 10, 17, 24};

class CoefficientReader {
 public:
  explicit CoefficientReader(Bytes bytes) {
    trap_jpeg_errors(reinterpret_cast<jpeg_common_struct&>(info_), errors_, trap_);
    progress_.progress_monitor = on_progress;
    trap_.run([&] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()),
                   static_cast<unsigned long>(bytes.size()));
    });
  }
  ~CoefficientReader() { jpeg_destroy_decompress(&info_); }
  CoefficientReader(const CoefficientReader&) = delete;
  CoefficientReader& operator=(const CoefficientReader&) = delete;

  /// False where the picture is too large.
  bool read(std::array<Histogram, kJpegFrequencies>& histograms) {
    constexpr std::uint64_t most_pixels = 40'000'000;
    bool fits = false;
    trap_.run([&] {
      jpeg_read_header(&info_, TRUE);
      fits = std::uint64_t{info_.image_width} * info_.image_height <= most_pixels && info_.num_components >= 1;
      if (!fits) return;
      jvirt_barray_ptr* const arrays = jpeg_read_coefficients(&info_);
      const jpeg_component_info& luma = info_.comp_info[0];
      for (JDIMENSION row = 0; row < luma.height_in_blocks; ++row) {
        JBLOCKARRAY blocks =
            info_.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&info_), arrays[0], row, 1, FALSE);
        for (JDIMENSION column = 0; column < luma.width_in_blocks; ++column) {
          for (std::size_t f = 0; f < kPlaces.size(); ++f) {
            const int size = std::abs(blocks[0][column][kPlaces[f]]);
            if (size <= kLevels) ++histograms[f][static_cast<std::size_t>(size)];
          }
        }
      }
    });
    return fits;
  }

 private:
  ErrorTrap trap_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
};

/// Sizes of coefficients become rarer steadily in a picture that was compressed once. Told are gaps: sizes much rarer
/// than smaller and larger ones.
bool has_gaps(const Histogram& histogram) {
  constexpr std::uint32_t enough = 60;
  constexpr std::size_t reach = 8;  // steps of the first compression, in those of the last
  int gaps = 0;
  for (std::size_t i = 1; i + 1 < histogram.size(); ++i) {
    const std::size_t from = i > reach ? i - reach : 0, to = std::min(histogram.size(), i + reach + 1);
    const auto begin = histogram.begin();
    const std::uint32_t before =
        *std::max_element(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(i));
    const std::uint32_t behind =
        *std::max_element(begin + static_cast<std::ptrdiff_t>(i) + 1, begin + static_cast<std::ptrdiff_t>(to));
    const std::uint32_t lesser = std::min(before, behind);
    if (lesser >= enough && 2 * histogram[i] < lesser) ++gaps;
  }
  return gaps >= 2;
}

}  // namespace

std::optional<JpegQuality> jpeg_quality(Bytes file) {
  const auto table = luma_table(file);
  if (!table) return std::nullopt;
  JpegQuality best;
  double nearest = -1;
  for (int quality = 1; quality <= 100; ++quality) {
    const std::array<int, 64> own = table_at(quality);
    if (own == *table) return JpegQuality{quality, true};
    double distance = 0;
    for (std::size_t i = 0; i < 64; ++i) distance += own[i] - (*table)[i];
    distance = std::abs(distance);
    if (nearest < 0 || distance < nearest) {
      nearest = distance;
      best.quality = quality;
    }
  }
  return best;
}

std::optional<int> jpeg_gaps(Bytes file) {
  if (file.size() < 4 || file[0] != std::byte{0xff} || file[1] != std::byte{0xd8}) return std::nullopt;
  std::array<Histogram, kJpegFrequencies> histograms{};
  try {
    if (!CoefficientReader(file).read(histograms)) return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
  return static_cast<int>(std::ranges::count_if(histograms, has_gaps));
}

}  // namespace lfm
