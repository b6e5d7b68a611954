#include "src/engine/cuda/library_stages.h"

#include "kernels/max_pool.h"
#include "kernels/unfold.h"

namespace lfm::inline LFM_TARGET {

namespace {

struct BlockSizes {
  MapSize in, conv;
  int ic, oc;
};

BlockSizes sizes_of(const InferencePlan& plan, int block) {
  return {plan.shape.out[block - 1], plan.shape.conv[block], kChannels[block], kChannels[block + 1]};
}

}  // namespace

void LibraryStages::prepare(const InferencePlan& plan, const Architecture& architecture, int n) {
  if (calls_.contains(n)) return;
  const Providers& providers = plan.recipe->providers;
  const Precision precision = plan.recipe->precision;
  const std::size_t workspace = plan.workspace.bytes();
  Calls calls;
  for (const Stage& stage : kStages) {
    const auto at = static_cast<std::size_t>(stage.index);
    if (providers[stage] == Provider::own) continue;
    if (stage.kind == StageKind::projection) {
      calls.product[at] = libraries_.product({.rows = plan.shape.maps().area(),
                                              .columns = kMapChannels,
                                              .depth = kChannels[kBlocks],
                                              .batch = n,
                                              .precision = precision,
                                              .fp32_result = true},
                                             workspace);
    } else if (stage.kind == StageKind::head) {
      calls.product[at] = libraries_.product({.rows = 1,
                                              .columns = n,
                                              .depth = feature_count(architecture),
                                              .precision = Precision::fp32,
                                              .epilogue = ProductEpilogue::bias},
                                             workspace);
    } else if (const auto [in, conv, ic, oc] = sizes_of(plan, stage.block); providers[stage] == Provider::cudnn) {
      calls.convolution[at] =
          libraries_.convolution({ConvolutionPass::forward, n, in.h, in.w, ic, oc, precision}, workspace);
    } else {
      calls.product[at] = libraries_.product({.rows = oc,
                                              .columns = static_cast<std::int64_t>(n) * conv.area(),
                                              .depth = 4 * ic,
                                              .precision = precision,
                                              .epilogue = ProductEpilogue::bias_relu},
                                             workspace);
    }
  }
  calls_.emplace(n, std::move(calls));
}

void LibraryStages::convolve(const InferencePass& pass, const Stage& stage, kernels::Stream stream) const {
  const InferencePlan& plan = *pass.plan;
  const Calls& calls = calls_.at(pass.n);
  const auto index = static_cast<std::size_t>(stage.index);
  const auto at = [&](const Region& region) { return pass.arena + region.offset; };
  const auto weights = [&](const Region& region) { return pass.weights + region.offset; };
  const auto [in, conv, ic, oc] = sizes_of(plan, stage.block);
  const int item = static_cast<int>(item_bytes(plan.recipe->precision));
  const bool pooled = stage.block + 1 < kBlocks;
  std::byte *const input = at(plan.blocks[stage.block - 1]), *const output = at(plan.blocks[stage.block]);
  std::byte* const convolved = pooled ? at(plan.unpooled) : output;
  std::byte *const weight = weights(pass.weight_plan->weight[stage.block]), *const bias = weights(
                                                                                pass.weight_plan->bias[stage.block]);
  if (plan.recipe->providers[stage] == Provider::cudnn) {
    calls.convolution[index]({input, weight, convolved, bias, at(plan.workspace)}, stream);
  } else {
    kernels::unfold(at(plan.unfolded), input, pass.n, in.h, in.w, ic * item, stream);
    calls.product[index]({convolved, weight, at(plan.unfolded), bias, at(plan.workspace)}, stream);
  }
  if (pooled) kernels::max_pool_of_relu(output, convolved, pass.n, conv.h, conv.w, oc, item, stream);
}

void LibraryStages::launch(const InferencePass& pass, const Stage& stage, kernels::Stream stream) const {
  const InferencePlan& plan = *pass.plan;
  const auto at = [&](const Region& region) { return pass.arena + region.offset; };
  const auto weights = [&](const Region& region) { return pass.weights + region.offset; };
  const auto multiply = [&](const CublasProduct::Arrays& arrays) {
    calls_.at(pass.n).product[static_cast<std::size_t>(stage.index)](arrays, stream);
  };
  switch (stage.kind) {
    case StageKind::projection:
      return multiply({at(plan.maps), at(plan.blocks[kBlocks - 1]), weights(pass.weight_plan->projection), nullptr,
                       at(plan.workspace)});
    case StageKind::head:
      return multiply({at(plan.logits), weights(pass.weight_plan->head_weight), at(plan.features),
                       weights(pass.weight_plan->head_bias), at(plan.workspace)});
    default: return convolve(pass, stage, stream);
  }
}

}  // namespace lfm::inline LFM_TARGET
