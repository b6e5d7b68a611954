// How many bytes of tensors follow the headers of the framed seeds: a model of the paper's architecture, k = 16.
#pragma once

#include "src/model/architecture.h"
#include "src/model/container.h"

namespace lfm::fuzz {

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kContainerAlignment - 1) / kContainerAlignment * kContainerAlignment;
}

inline std::size_t lfmw_tensor_bytes() {
  const ParameterTable table = parameter_table({});
  std::size_t bytes = 0;
  for (int id = 0; id < kParameters; ++id) bytes += aligned(table[id].count() * sizeof(float));
  return bytes;
}

inline std::size_t checkpoint_tensor_bytes() {
  return lfmw_tensor_bytes() + 2 * aligned(parameter_table({}).trainable_floats * sizeof(float));
}

/// The reference's state dict: the parameters, the batch counters, the residual's two fixed convolutions.
inline std::size_t state_dict_bytes() {
  const ParameterTable table = parameter_table({});
  std::size_t floats = 2 * 3 * 3 * 2 * 2;
  for (int id = 0; id < kParameters; ++id) floats += table[id].count();
  return floats * sizeof(float) + kBlocks * sizeof(std::int64_t);
}

}  // namespace lfm::fuzz
