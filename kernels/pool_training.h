// What training adds to the pooling: rank-based dropout (RBLD), random selection (RKS), and the way back to the maps
// (docs/METHOD.md, section 4). Forward arrays are [n][channels][k], rank 0 the largest; rows = n * channels. Draws are
// those of src/random/philox.h, bit for bit.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// Whose draws: the generator's key, and the index in the global batch of the first image.
struct DrawOrigin {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint32_t first_image = 0;
};

/// factors[row][rank] = scale[rank] where kept, 0 where dropped; values *= factors. Kept: keep[row][rank] != 0, or with
/// keep null, rbld_uniform() >= drop[rank]. drop, scale [k]: tables of src/model/rbld.h.
void rbld(float* values, float* factors, const std::uint8_t* keep, const float* drop, const float* scale,
          const DrawOrigin& origin, int rows, int channels, int k, Stream stream);

/// positions [rows][k]: k different ones of each map, as rks_positions() draws them.
void rks_draw(std::int32_t* positions, const DrawOrigin& origin, int rows, int channels, int area, int k,
              Stream stream);

/// values [rows][k] = maps [rows][area] at the drawn positions, descending, equal values by lower position; and those
/// positions.
void rks_gather(float* values, std::int32_t* positions, const std::int32_t* drawn, const float* maps, int rows,
                int area, int k, Stream stream);

/// grad_maps [n][area][channels] += grad_values * factors at positions [rows][k], which differ within a row. factors
/// may be null: all 1.
void pool_backward(float* grad_maps, const float* grad_values, const float* factors, const std::int32_t* positions,
                   int rows, int channels, int area, int k, Stream stream);

/// grad_maps [n][area][channels] (+)= grad_values [rows] / area.
void average_pool_backward(float* grad_maps, const float* grad_values, int rows, int channels, int area,
                           bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
