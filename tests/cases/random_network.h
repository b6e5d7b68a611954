// A network with random parameters and images for it, the same for the same seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "src/model/architecture.h"
#include "tests/cases/cases.h"

namespace lfm::cases {

struct RandomNetwork {
  std::vector<float> values;  ///< laid out by the parameter table; of a size that keeps activations near 1
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
};

inline RandomNetwork random_network(const NetworkCase& c, unsigned seed) {
  RandomNetwork network;
  std::mt19937 generator(seed);
  network.pixels.resize(std::size_t{3} * c.n * c.h * c.w);
  for (auto& pixel : network.pixels) pixel = static_cast<std::uint8_t>(generator());
  network.labels.resize(static_cast<std::size_t>(c.n));
  for (auto& label : network.labels) label = generator() & 1;
  const ParameterTable table = parameter_table({});
  network.values.assign(table.total_floats, 0.0f);
  for (int id = 0; id < kParameters; ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f,
                                          fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.1f);
    for (float& value : parameter(std::span(network.values), table, id)) value = noise(generator);
  }
  return network;
}

}  // namespace lfm::cases
