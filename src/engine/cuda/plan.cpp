#include "src/engine/cuda/plan.h"

#include "kernels/winograd_layout.h"

namespace lfm {

InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width, Precision precision) {
  InferencePlan plan;
  plan.precision = precision;
  plan.n = n, plan.height = height, plan.width = width;
  plan.shape = network_shape(architecture, height, width);
  ArenaLayout layout(kDeviceAlignment);
  for (Region& slot : plan.pixels) slot = layout.add("pixels", {n, height, width, 3}, sizeof(std::uint8_t));
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize& out = plan.shape.out[b];
    const bool fused = precision != Precision::fp32 && b + 1 == kBlocks;
    plan.blocks[b] = layout.add(block_stage(b).name, {fused ? 0 : n, out.h, out.w, kChannels[b + 1]}, item_bytes(precision));
  }
  const MapSize& maps = plan.shape.maps();
  plan.maps = layout.add("maps", {n, kMapChannels, maps.h, maps.w}, sizeof(float));
  plan.features = layout.add("features", {n, kMapChannels, values_per_channel(architecture), 1}, sizeof(float));
  plan.logits = layout.add("logits", {n, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

WeightPlan plan_weights(const Architecture& architecture, Precision precision, Fp32Convolution convolution) {
  const bool fp32 = precision == Precision::fp32;
  WeightPlan plan;
  plan.precision = precision;
  plan.convolution = convolution;
  ArenaLayout layout(kDeviceAlignment);
  for (int b = 0; b < kBlocks; ++b) {
    const int factors = fp32 && b > 0 && convolution == Fp32Convolution::winograd ? kernels::WinogradTile::kPoints : 4;
    const int maps = fp32 || b + 1 < kBlocks ? 0 : kMapChannels;  // whose projection follows
    plan.weight[b] = layout.add("weight", {factors * kChannels[b] + maps, kChannels[b + 1], 1, 1}, b == 0 ? sizeof(float) : item_bytes(precision));
    plan.bias[b] = layout.add("bias", {kChannels[b + 1], 1, 1, 1}, sizeof(float));
  }
  plan.projection = layout.add("projection", {fp32 ? kChannels[kBlocks] : 0, kMapChannels, 1, 1}, sizeof(float));
  plan.head_weight = layout.add("head weight", {feature_count(architecture), 1, 1, 1}, sizeof(float));
  plan.head_bias = layout.add("head bias", {1, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm
