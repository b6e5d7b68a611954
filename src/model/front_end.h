// What the network's front ends have in common, told once: how many pixels of an image they take, which of them a value depends on, and
// what a weight file calls them. How each computes is in kernels/residual.cuh and src/engine/{reference,cpu}.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "src/model/stages.h"

namespace lfm {

struct FrontEndRow {
  FrontEnd kind;
  std::string_view word;  ///< in weight files
  int cell;               ///< side of the square of pixels that a value depends on, which begins at a multiple of it

  /// Whole cells: an odd last row or column is dropped.
  constexpr MapSize input_size(const MapSize& image) const { return {image.h / cell * cell, image.w / cell * cell}; }
  /// Where the cell of a row or column begins.
  constexpr int cell_of(int at) const { return at / cell * cell; }
};

std::span<const FrontEndRow> front_ends();

/// The architecture's.
const FrontEndRow& front_end(const Architecture& architecture);

/// The one of that word in a weight file.
std::optional<FrontEnd> front_end_from_word(std::string_view word);

}  // namespace lfm
