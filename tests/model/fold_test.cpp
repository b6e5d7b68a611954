#include "src/model/fold.h"

#include <cmath>
#include <random>
#include <vector>

#include "tests/catch.h"

namespace lfm {
namespace {

// The folded block gives what convolution, batch norm and the residual's scale give one after the other.
TEST_CASE("Fold.EqualsConvolutionThenNorm") {
  const auto table = parameter_table({});
  std::vector<float> values(table.total_floats);
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (float& v : values) v = uniform(random);
  const std::span<float> all(values);
  for (int b = 0; b < kBlocks; ++b) {
    for (float& v : parameter(all, table, running_var(b))) v = 0.5f + std::abs(v);
  }
  Architecture architecture;
  architecture.front_end = FrontEnd::npr_signed;
  const auto folded = fold_blocks(architecture, values);

  for (int b = 0; b < kBlocks; ++b) {
    const int depth = 4 * kChannels[b], oc = kChannels[b + 1];
    REQUIRE(folded[b].weight.size() == static_cast<std::size_t>(depth) * oc);
    REQUIRE(folded[b].bias.size() == static_cast<std::size_t>(oc));
    std::vector<double> raw(static_cast<std::size_t>(depth));  // one window, channel-major as the weights
    for (double& x : raw) x = std::floor(255.0 * std::abs(uniform(random)));
    for (int o = 0; o < oc; ++o) {
      double conv = parameter(all, table, conv_bias(b))[o], got = folded[b].bias[o], magnitude = std::abs(got);
      for (int d = 0; d < depth; ++d) {
        const double input = b == 0 ? raw[d] * 2 / 3 / 255.0 / kPixelStd[d / 4] : raw[d];
        conv += input * parameter(all, table, conv_weight(b))[o * depth + d];
        got += raw[d] * folded[b].weight[o * depth + d];
        magnitude += std::abs(raw[d] * folded[b].weight[o * depth + d]);
      }
      const double normalised = (conv - parameter(all, table, running_mean(b))[o]) /
                                std::sqrt(parameter(all, table, running_var(b))[o] + double{kBatchNormEps});
      const double want =
          normalised * parameter(all, table, norm_scale(b))[o] + parameter(all, table, norm_shift(b))[o];
      CHECK_THAT_MESSAGE(got, WithinAbs(want, 1e-7 * magnitude), "block " << b << ", channel " << o);
    }
  }
}

}  // namespace
}  // namespace lfm
