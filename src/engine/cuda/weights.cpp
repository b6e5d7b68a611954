#include "src/engine/cuda/weights.h"

#include <cstring>

#include "src/engine/cuda/pack.h"
#include "src/engine/cuda/tensor_pack.h"
#include "src/model/fold.h"

namespace lfm {

namespace {

/// Writes packed values to their regions.
class Writer {
 public:
  explicit Writer(std::byte* memory) : memory_(memory) {}
  template <typename Values>
  void put(const Region& region, const Values& values) const {
    std::memcpy(memory_ + region.offset, values.data(), region.bytes());
  }

 private:
  std::byte* memory_;
};

void pack_fp32(const Writer& writer, const WeightPlan& plan, std::span<const FoldedBlock> blocks,
               std::span<const float> projection) {
  const bool winograd = plan.recipe->convolution == BlockConvolution::winograd;
  for (int b = 1; b < kBlocks; ++b) {
    const int oc = kChannels[b + 1], ic = kChannels[b];
    writer.put(plan.weight[b],
               winograd ? pack_winograd(blocks[b].weight, oc, ic) : pack_weight(blocks[b].weight, oc, ic, 4));
  }
  writer.put(plan.projection, pack_weight(projection, kMapChannels, kChannels[kBlocks], 1));
}

template <typename T>
void pack_tensor(const Writer& writer, const WeightPlan& plan, std::span<const FoldedBlock> blocks,
                 std::span<const float> projection) {
  constexpr int last = kBlocks - 1;
  for (int b = 1; b < last; ++b)
    writer.put(plan.weight[b], pack_tensor_conv<T>(blocks[b].weight, kChannels[b + 1], kChannels[b]));
  writer.put(plan.weight[last],
             pack_tensor_last_block<T>(blocks[last].weight, projection, kChannels[kBlocks], kChannels[last]));
}

}  // namespace

void pack_weights(std::byte* memory, const WeightPlan& plan, const Architecture& architecture,
                  std::span<const float> values) {
  const ParameterTable table = parameter_table(architecture);
  const Writer writer(memory);
  const auto blocks = fold_blocks(architecture, values);
  const auto projection = parameter(values, table, kProjection);
  writer.put(plan.weight[0], pack_weight(blocks[0].weight, kChannels[1], kChannels[0], 4));
  for (int b = 0; b < kBlocks; ++b) writer.put(plan.bias[b], blocks[b].bias);
  switch (plan.recipe->precision) {
    case Precision::fp16: pack_tensor<kernels::Half>(writer, plan, blocks, projection); break;
    case Precision::bf16: pack_tensor<kernels::Bfloat16>(writer, plan, blocks, projection); break;
    case Precision::tf32: pack_tensor<kernels::Tf32>(writer, plan, blocks, projection); break;
    default: pack_fp32(writer, plan, blocks, projection);
  }
  writer.put(plan.head_weight, parameter(values, table, kHeadWeight));
  writer.put(plan.head_bias, parameter(values, table, kHeadBias));
}

}  // namespace lfm
