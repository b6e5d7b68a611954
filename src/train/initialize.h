// A fresh network, drawn as PyTorch's default initialisation does (SPEC section 6).
#pragma once

#include <cstdint>
#include <vector>

#include "lfm/model.h"

namespace lfm {

/// Values of parameter_table(architecture): weights and biases of convolutions and the head uniform on ±1/sqrt(fan_in)
/// (Kaiming-uniform with a = sqrt(5) comes to just that), batch norm's scale and variance 1, shift and mean 0. Element e of
/// parameter p is draw e of the initialisation stream (kernels/philox.h), so a seed gives the same network everywhere.
std::vector<float> initial_parameters(const Architecture& architecture, std::uint64_t seed);

}  // namespace lfm
