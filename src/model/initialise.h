// The parameters of a model that has learnt nothing yet.
#pragma once

#include <cstdint>
#include <vector>

#include "lfm/model.h"

namespace lfm {

/// PyTorch's defaults (docs/METHOD.md, section 6), laid out by parameter_table: weights and biases of convolutions and
/// the head uniform on ±1/√fan_in (Kaiming-uniform, a = √5), batch-norm scale and variance 1, shift and mean 0. The
/// same seed gives the same values everywhere (src/random/philox.h, stream `initialisation`).
std::vector<float> initial_values(const Architecture& architecture, std::uint64_t seed);

}  // namespace lfm
