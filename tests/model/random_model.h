// A model with seeded random values, for tests that need any model.
#pragma once

#include <cstdint>
#include <random>

#include "lfm/model.h"
#include "src/model/architecture.h"

namespace lfm::test {

inline Model random_model(const Architecture& architecture, std::uint32_t seed) {
  Model model;
  model.architecture = architecture;
  const ParameterTable table = parameter_table(architecture);
  model.values.assign(table.total_floats, 0.0f);
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(0.01f, 0.1f);
  for (int id = 0; id < table.size(); ++id) {
    for (float& value : parameter(std::span<float>(model.values), table, id)) value = uniform(generator);
  }
  return model;
}

}  // namespace lfm::test
