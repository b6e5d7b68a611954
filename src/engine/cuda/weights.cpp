#include "src/engine/cuda/weights.h"

#include <array>
#include <vector>

#include "src/engine/cuda/convolution.h"
#include "src/engine/cuda/pack.h"
#include "src/model/fold.h"

namespace lfm {

void pack_weights(std::byte* memory, const WeightPlan& plan, const Architecture& architecture,
                  std::span<const float> values) {
  const LinearHead head = linear_head(architecture, values);
  put(memory, plan.head_weight, std::vector<float>(head.weight.begin(), head.weight.end()));
  put(memory, plan.head_bias, std::array{static_cast<float>(head.bias)});
  if (architecture.trunk == Trunk::resnet)
    return pack_resnet(memory, plan.resnet, plan.recipe->precision, architecture, values);
  const ParameterTable table = parameter_table(architecture);
  const auto blocks = fold_blocks(architecture, values);
  const auto projection = parameter(values, table, kProjection);
  put(memory, plan.weight[0], pack_weight(blocks[0].weight, kChannels[1], kChannels[0], 4));
  put(memory, plan.bias[0], blocks[0].bias);
  pack_convolutions(memory, plan, blocks, projection);
}

}  // namespace lfm
