// The residual of any front end, row by row: the plain way, for those that no vector kernel computes on its way
// (front_end.h, is_fused).
#pragma once

#include <cstdint>

#include "lfm/model.h"

namespace lfm::cpu {

/// Rows [first, first + 3) and the first `columns` columns of the residual of a picture [height][width][3], in grey
/// levels, as PlainWindow reads them (first_block-inl.h): [3][columns][3].
void residual_rows(FrontEnd front_end, const std::uint8_t* picture, int height, int width, int first, int columns,
                   float* rows);

/// One row of the same: [columns][3].
void residual_row(FrontEnd front_end, const std::uint8_t* picture, int height, int width, int row, int columns,
                  float* out);

}  // namespace lfm::cpu
