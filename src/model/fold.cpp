#include "src/model/fold.h"

#include <cmath>
#include <cstddef>

#include "src/model/front_end.h"

namespace lfm {

namespace {

FoldedBlock fold_block(const FrontEndRow& front_end, const ParameterTable& table, std::span<const float> values,
                       int block) {
  const auto weight = parameter(values, table, conv_weight(block));
  const auto bias = parameter(values, table, conv_bias(block));
  const auto scale = parameter(values, table, norm_scale(block));
  const auto shift = parameter(values, table, norm_shift(block));
  const auto mean = parameter(values, table, running_mean(block));
  const auto variance = parameter(values, table, running_var(block));
  constexpr std::size_t taps = 4;
  const auto ic = static_cast<std::size_t>(kChannels[block]);
  const auto oc = static_cast<std::size_t>(kChannels[block + 1]);

  FoldedBlock folded{std::vector<float>(weight.size()), std::vector<float>(oc)};
  for (std::size_t o = 0; o < oc; ++o) {
    const double gain = scale[o] / std::sqrt(double{variance[o]} + double{kBatchNormEps});
    folded.bias[o] = static_cast<float>(gain * (double{bias[o]} - double{mean[o]}) + double{shift[o]});
    for (std::size_t i = 0; i < ic; ++i) {
      const double input_scale = block == 0 ? front_end.scale(i) : 1.0;
      for (std::size_t t = 0; t < taps; ++t) {
        const std::size_t at = (o * ic + i) * taps + t;
        folded.weight[at] = static_cast<float>(gain * input_scale * double{weight[at]});
      }
    }
  }
  return folded;
}

}  // namespace

FoldedBlock fold_convolution(const Architecture& architecture, std::span<const float> values, int convolution) {
  const ParameterTable table = parameter_table(architecture);
  const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
  const auto of = [&](int id) { return parameter(values, table, id); };
  const auto weight = of(trunk_weight(convolution)), scale = of(trunk_scale(convolution)),
             shift = of(trunk_shift(convolution));
  const auto mean = of(trunk_mean(convolution)), variance = of(trunk_variance(convolution));
  const auto taps = static_cast<std::size_t>(c.kernel * c.kernel), ic = static_cast<std::size_t>(c.ic);

  FoldedBlock folded{std::vector<float>(weight.size()), std::vector<float>(scale.size())};
  for (std::size_t o = 0; o < scale.size(); ++o) {
    const double gain = scale[o] / std::sqrt(double{variance[o]} + double{kBatchNormEps});
    folded.bias[o] = static_cast<float>(double{shift[o]} - gain * double{mean[o]});
    for (std::size_t i = 0; i < ic; ++i) {
      const double input = convolution == 0 ? front_end(architecture).scale(i, architecture.normalisation) : 1.0;
      for (std::size_t t = 0; t < taps; ++t) {
        const std::size_t at = (o * ic + i) * taps + t;
        folded.weight[at] = static_cast<float>(gain * input * double{weight[at]});
      }
    }
  }
  return folded;
}

std::array<FoldedBlock, kBlocks> fold_blocks(const Architecture& architecture, std::span<const float> values) {
  const ParameterTable table = parameter_table(architecture);
  std::array<FoldedBlock, kBlocks> blocks;
  for (int b = 0; b < kBlocks; ++b) blocks[b] = fold_block(front_end(architecture), table, values, b);
  return blocks;
}

}  // namespace lfm
