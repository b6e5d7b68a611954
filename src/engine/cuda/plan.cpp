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

}  // namespace

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
  plan_libraries(plan, layout);
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
  plan.head_weight = layout.add("head weight", {feature_count(architecture), 1, 1, 1}, sizeof(float));
  plan.head_bias = layout.add("head bias", {1, 1, 1, 1}, sizeof(float));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm
