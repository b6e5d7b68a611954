#include "src/train/initialize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "kernels/philox.h"
#include "src/model/architecture.h"

namespace lfm {

std::vector<float> initial_parameters(const Architecture& architecture, std::uint64_t seed) {
  const ParameterTable table = parameter_table(architecture);
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < kParameters; ++id) {
    const std::span<float> out = parameter(std::span(values), table, id);
    if (const int fan_in = table[id].fan_in; fan_in > 0) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
      for (std::size_t e = 0; e < out.size(); ++e) {
        const PhiloxBlock block = draw_block(seed, 0, static_cast<std::uint32_t>(id), Stream::initialisation,
                                             static_cast<std::uint32_t>(e / 4));
        out[e] = static_cast<float>(bound * (2.0 * uniform01(block.word[e % 4]) - 1.0));
      }
    }
  }
  for (int block = 0; block < kBlocks; ++block) {
    std::ranges::fill(parameter(std::span(values), table, norm_scale(block)), 1.0f);
    std::ranges::fill(parameter(std::span(values), table, running_var(block)), 1.0f);
  }
  return values;
}

}  // namespace lfm
