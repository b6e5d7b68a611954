#include "src/engine/cuda/plan.h"

namespace lfm {

Region Layout::add(const char* name, std::array<int, 4> shape, std::size_t item_bytes) {
  constexpr std::size_t alignment = 256;
  Region region{name, shape, item_bytes, bytes_};
  bytes_ += (region.bytes() + alignment - 1) / alignment * alignment;
  return region;
}

InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width) {
  static constexpr const char* names[kBlocks] = {"block1", "block2", "block3", "block4"};
  InferencePlan plan{n, height, width, network_shape(architecture, height, width), {}, {}, {}, {}, {}, 0};
  Layout layout;
  for (Region& slot : plan.pixels) slot = layout.add("pixels", {n, height, width, 3}, sizeof(std::uint8_t));
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize& out = plan.shape.out[b];
    plan.blocks[b] = layout.add(names[b], {n, out.h, out.w, kChannels[b + 1]}, sizeof(float));
  }
  const MapSize& maps = plan.shape.maps();
  plan.maps = layout.add("maps", {n, kMapChannels, maps.h, maps.w}, sizeof(float));
  plan.features = layout.add("features", {n, kMapChannels, values_per_channel(architecture), 1}, sizeof(float));
  plan.logits = layout.add("logits", {n, 1, 1, 1}, sizeof(float));
  plan.bytes = layout.bytes();
  return plan;
}

WeightPlan plan_weights(const Architecture& architecture) {
  WeightPlan plan;
  Layout layout;
  for (int b = 0; b < kBlocks; ++b) {
    plan.weight[b] = layout.add("weight", {4, kChannels[b], kChannels[b + 1], 1}, sizeof(float));
    plan.bias[b] = layout.add("bias", {kChannels[b + 1], 1, 1, 1}, sizeof(float));
  }
  plan.projection = layout.add("projection", {kChannels[kBlocks], kMapChannels, 1, 1}, sizeof(float));
  plan.head_weight = layout.add("head weight", {feature_count(architecture), 1, 1, 1}, sizeof(float));
  plan.head_bias = layout.add("head bias", {1, 1, 1, 1}, sizeof(float));
  plan.bytes = layout.bytes();
  return plan;
}

}  // namespace lfm
