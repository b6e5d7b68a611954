// What is to be known of a front end without computing it: how many pixels of an image it takes, which of them a value
// depends on, its scale, and what a weight file calls it. How each computes is in residual.h, and in double in
// src/engine/reference/residual.cpp.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "src/model/architecture.h"

namespace lfm {

struct FrontEndRow {
  FrontEnd kind = FrontEnd::npr;
  std::string_view word;  ///< in weight files
  int cell = 1;           ///< side of the squares of pixels that belong together; each begins at a multiple of it
  int reach = 0;          ///< a value depends on pixels of its own cell, and on others up to so many pixels away
  double gain = 1;        ///< of the values, beside the normalisation of pixels

  /// Whole cells: an odd last row or column is dropped where a cell has two pixels a side.
  constexpr MapSize input_size(const MapSize& image) const { return {image.h / cell * cell, image.w / cell * cell}; }
  /// Where the cell of a row or column begins.
  constexpr int cell_of(int at) const { return at / cell * cell; }
  /// What a difference of one grey level amounts to.
  constexpr double scale(std::size_t channel, Normalisation normalisation = Normalisation::imagenet) const {
    return gain / (normalisation == Normalisation::unit ? 255.0 : 255.0 * kPixelStd[channel]);
  }
};

std::span<const FrontEndRow> front_ends();

const FrontEndRow& front_end_row(FrontEnd kind);

/// The architecture's.
inline const FrontEndRow& front_end(const Architecture& architecture) { return front_end_row(architecture.front_end); }

/// The one of that word in a weight file.
std::optional<FrontEnd> front_end_from_word(std::string_view word);

/// Whether engines compute it on the way to block 1's convolution, its values never in memory. Any other goes the plain
/// way: the residual, then the convolution.
constexpr bool is_fused(FrontEnd kind) { return kind == FrontEnd::npr; }

}  // namespace lfm
