#include "src/engine/cuda/plan.h"

#include <algorithm>

#include "kernels/tensor_layout.h"
#include "src/engine/cuda/pass_size.h"
#include "src/model/front_end.h"

namespace lfm {

namespace {

/// What the stages of libraries leave for other kernels, or want from them; one after the other they use the same.
void plan_libraries(InferencePlan& plan, ArenaLayout& layout) {
  const Recipe& recipe = *plan.recipe;
  if (recipe.providers.all_own()) return;
  std::array<std::int64_t, 4> unpooled{}, unfolded{};
  const auto enlarge = [](std::array<std::int64_t, 4>& shape, const std::array<std::int64_t, 4>& other) {
    const auto count = [](const auto& of) { return of[0] * of[1] * of[2] * of[3]; };
    if (count(other) > count(shape)) shape = other;
  };
  for (int b = 1; b < kBlocks; ++b) {
    const MapSize& conv = plan.shape.conv[b];
    const Provider provider = recipe.providers.block(b);
    if (provider == Provider::own) continue;
    if (b + 1 < kBlocks) enlarge(unpooled, {plan.n, conv.h, conv.w, kChannels[b + 1]});
    if (provider == Provider::cublas) enlarge(unfolded, {plan.n, conv.h, conv.w, 4 * kChannels[b]});
  }
  plan.unpooled = layout.add("not yet pooled", unpooled, item_bytes(recipe.precision));
  plan.unfolded = layout.add("unfolded", unfolded, item_bytes(recipe.precision));
  plan.workspace = layout.add("workspace", {static_cast<std::int64_t>(kLibraryWorkspace), 1, 1, 1}, 1);
}

/// SNet's blocks and the projection.
void plan_blocks(InferencePlan& plan, const Architecture& architecture, int multiprocessors, ArenaLayout& layout) {
  const Recipe& recipe = *plan.recipe;
  plan.shape = network_shape(architecture, plan.height, plan.width);
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize& out = plan.shape.out[b];
    const bool fused = recipe.fuses_projection && b + 1 == kBlocks;
    plan.blocks[b] = layout.add(block_stage(b).name, {fused ? 0 : plan.n, out.h, out.w, kChannels[b + 1]},
                                item_bytes(recipe.precision));
  }
  plan_libraries(plan, layout);
  if (!recipe.fuses_projection) return;
  using Tile = kernels::ConvTile;
  const int tiles = Tile::tiles(plan.shape.maps().h, plan.shape.maps().w);
  plan.split_images = images_that_are_split(tiles, multiprocessors);
  plan.scratch = layout.add(
      "block 4, split", {std::min(plan.n, plan.split_images), tiles, Tile::kHeight * Tile::kWidth, kChannels[kBlocks]},
      item_bytes(recipe.precision));
}

void plan_block_weights(WeightPlan& plan, ArenaLayout& layout) {
  const Recipe& recipe = *plan.recipe;
  for (int b = 0; b < kBlocks; ++b) {
    const bool own = recipe.providers.block(b) == Provider::own;
    const int factors = b > 0 && own ? recipe.weight_factors : 4;
    const int maps = recipe.fuses_projection && b + 1 == kBlocks ? kMapChannels : 0;  // whose projection follows
    plan.weight[b] = layout.add("weight", {factors * kChannels[b] + maps, kChannels[b + 1], 1, 1},
                                b == 0 ? sizeof(float) : item_bytes(recipe.precision));
    plan.bias[b] = layout.add("bias", {kChannels[b + 1], 1, 1, 1}, own ? sizeof(float) : item_bytes(recipe.precision));
  }
  plan.projection =
      layout.add("projection", {recipe.fuses_projection ? 0 : kChannels[kBlocks], kMapChannels, 1, 1},
                 recipe.providers.projection() == Provider::own ? sizeof(float) : item_bytes(recipe.precision));
}

}  // namespace

bool is_fused(const Architecture& architecture) {
  return architecture.trunk == Trunk::snet && is_fused(architecture.front_end);
}

InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width, const Recipe& recipe,
                             int multiprocessors) {
  const MapSize maps = map_size(architecture, height, width);
  InferencePlan plan;
  plan.recipe = &recipe;
  plan.n = n, plan.height = height, plan.width = width;
  plan.input = front_end(architecture).input_size({height, width});
  ArenaLayout layout(kDeviceAlignment);
  for (Region& slot : plan.pixels) slot = layout.add("pixels", {n, height, width, 3}, sizeof(std::uint8_t));
  plan.residual =
      layout.add("residual", {is_fused(architecture) ? 0 : n, plan.input.h, plan.input.w, kChannels[0]}, sizeof(float));
  if (architecture.trunk == Trunk::resnet) {
    plan.resnet = plan_resnet(architecture, n, height, width, recipe.precision, layout);
  } else {
    plan_blocks(plan, architecture, multiprocessors, layout);
  }
  const int channels = map_channels(architecture);
  plan.maps = layout.add("maps", {n, channels, maps.h, maps.w}, sizeof(float));
  plan.features = layout.add("features", {n, channels, values_per_channel(architecture), 1}, sizeof(float));
  plan.logits = layout.add("logits", {n, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

WeightPlan plan_weights(const Architecture& architecture, const Recipe& recipe) {
  WeightPlan plan;
  plan.recipe = &recipe;
  ArenaLayout layout(kDeviceAlignment);
  if (architecture.trunk == Trunk::resnet) {
    plan.resnet = plan_resnet_weights(recipe.precision, layout);
  } else {
    plan_block_weights(plan, layout);
  }
  plan.head_weight = layout.add("head weight", {feature_count(architecture), 1, 1, 1}, sizeof(float));
  plan.head_bias = layout.add("head bias", {1, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm
