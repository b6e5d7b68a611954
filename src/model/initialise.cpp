#include "src/model/initialise.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "src/model/architecture.h"
#include "src/random/philox.h"

namespace lfm {

std::vector<float> initial_values(const Architecture& architecture, std::uint64_t seed) {
  const ParameterTable table = parameter_table(architecture);
  std::vector<float> values(table.total_floats, 0.0f);
  for (int id = 0; id < table.size(); ++id) {
    const auto parameters = parameter(std::span(values), table, id);
    if (table[id].fan_in == 0) {
      std::ranges::fill(parameters, table[id].initial);
      continue;
    }
    const float bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(table[id].fan_in)));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto block = draw_block(seed, 0, static_cast<std::uint32_t>(id), Stream::initialisation,
                                    static_cast<std::uint32_t>(i / 4));
      parameters[i] = (2.0f * uniform01(block.word[i % 4]) - 1.0f) * bound;
    }
  }
  return values;
}

}  // namespace lfm
