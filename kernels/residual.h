// The residual of any front end (src/model/residual.h), written to memory: for those that no kernel computes on its
// way, and as the plain first step that first_block is tested against.
#pragma once

#include <cstdint>

#include "kernels/target.h"
#include "lfm/model.h"

namespace lfm::kernels::inline LFM_TARGET {

/// values [n][h][w][3], in grey levels, of pixels [n][height][width][3]; h x w is the front end's input_size().
void residual(FrontEnd front_end, float* values, const std::uint8_t* pixels, int n, int height, int width,
              Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
