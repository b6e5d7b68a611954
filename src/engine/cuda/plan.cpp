#include "src/engine/cuda/plan.h"

#include <algorithm>

#include "kernels/tensor_layout.h"
#include "src/engine/cuda/pass_size.h"
#include "src/model/front_end.h"

namespace lfm {

InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width, const Recipe& recipe,
                             int multiprocessors) {
  InferencePlan plan;
  plan.recipe = &recipe;
  plan.n = n, plan.height = height, plan.width = width;
  plan.shape = network_shape(architecture, height, width);
  ArenaLayout layout(kDeviceAlignment);
  for (Region& slot : plan.pixels) slot = layout.add("pixels", {n, height, width, 3}, sizeof(std::uint8_t));
  const MapSize& input = plan.shape.input;
  plan.residual =
      layout.add("residual", {is_fused(architecture.front_end) ? 0 : n, input.h, input.w, kChannels[0]}, sizeof(float));
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize& out = plan.shape.out[b];
    const bool fused = recipe.fuses_projection && b + 1 == kBlocks;
    plan.blocks[b] =
        layout.add(block_stage(b).name, {fused ? 0 : n, out.h, out.w, kChannels[b + 1]}, item_bytes(recipe.precision));
  }
  const MapSize& maps = plan.shape.maps();
  if (recipe.fuses_projection) {
    using Tile = kernels::ConvTile;
    const int tiles = Tile::tiles(maps.h, maps.w);
    plan.split_images = images_that_are_split(tiles, multiprocessors);
    plan.scratch = layout.add("block 4, split",
                              {std::min(n, plan.split_images), tiles, Tile::kHeight * Tile::kWidth, kChannels[kBlocks]},
                              item_bytes(recipe.precision));
  }
  plan.maps = layout.add("maps", {n, kMapChannels, maps.h, maps.w}, sizeof(float));
  plan.features = layout.add("features", {n, kMapChannels, values_per_channel(architecture), 1}, sizeof(float));
  plan.logits = layout.add("logits", {n, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

WeightPlan plan_weights(const Architecture& architecture, const Recipe& recipe) {
  WeightPlan plan;
  plan.recipe = &recipe;
  ArenaLayout layout(kDeviceAlignment);
  for (int b = 0; b < kBlocks; ++b) {
    const int factors = b > 0 ? recipe.weight_factors : 4;
    const int maps = recipe.fuses_projection && b + 1 == kBlocks ? kMapChannels : 0;  // whose projection follows
    plan.weight[b] = layout.add("weight", {factors * kChannels[b] + maps, kChannels[b + 1], 1, 1},
                                b == 0 ? sizeof(float) : item_bytes(recipe.precision));
    plan.bias[b] = layout.add("bias", {kChannels[b + 1], 1, 1, 1}, sizeof(float));
  }
  plan.projection =
      layout.add("projection", {recipe.fuses_projection ? 0 : kChannels[kBlocks], kMapChannels, 1, 1}, sizeof(float));
  plan.head_weight = layout.add("head weight", {feature_count(architecture), 1, 1, 1}, sizeof(float));
  plan.head_bias = layout.add("head bias", {1, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm
