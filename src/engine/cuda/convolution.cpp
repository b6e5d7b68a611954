#include "src/engine/cuda/convolution.h"

#include <algorithm>

#include "kernels/tensor_layout.h"
#include "kernels/winograd_layout.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/cuda/tensor_pack.h"

namespace lfm {

namespace {

struct Packing {
  std::byte* memory;
  const WeightPlan& plan;
  std::span<const FoldedBlock> blocks;
  std::span<const float> projection;
};

/// A convolution's positions, and the channels it gives.
struct Grid {
  MapSize positions;
  int channels;
  bool fuses_projection;
};

constexpr int parts(int items, int of) { return (items + of - 1) / of; }

// ---- direct (conv2x2_direct.cu) ----

void pack_direct(const Packing& to, int b) {
  put(to.memory, to.plan.weight[b], pack_weight(to.blocks[b].weight, kChannels[b + 1], kChannels[b], 4));
}

double direct_blocks(const Grid& grid) {
  constexpr double kTile = 128.0 * 128.0;
  return static_cast<double>(grid.positions.area()) * grid.channels / kTile;
}

// ---- Winograd (conv2x2_winograd.cu) ----

void pack_by_winograd(const Packing& to, int b) {
  put(to.memory, to.plan.weight[b], pack_winograd(to.blocks[b].weight, kChannels[b + 1], kChannels[b]));
}

double winograd_blocks(const Grid& grid) {
  using Tile = kernels::WinogradTile;
  constexpr int kSide = 2 * Tile::kSide;
  return static_cast<double>(parts(grid.positions.h, kSide)) * parts(grid.positions.w, kSide) *
         (grid.channels / Tile::kColumns);
}

// ---- tensor cores (conv2x2_tensor.cu, last_block_tensor.cu), by warpgroups too (conv2x2_wgmma.cu) ----

template <typename T>
struct ByWarps {
  static constexpr auto conv = pack_tensor_conv<T>;
  static constexpr auto last_block = pack_tensor_last_block<T>;
};
template <typename T>
struct ByWarpgroups {
  static constexpr auto conv = pack_wgmma_conv<T>;
  static constexpr auto last_block = pack_wgmma_last_block<T>;
};

template <typename Pack>
void pack_tensor_with(const Packing& to, int b) {
  const std::span<const float> weight = to.blocks[b].weight;
  const int oc = kChannels[b + 1], ic = kChannels[b];
  put(to.memory, to.plan.weight[b],
      b + 1 < kBlocks ? Pack::conv(weight, oc, ic) : Pack::last_block(weight, to.projection, oc, ic));
}

template <template <typename> typename Pack>
void pack_tensor(const Packing& to, int b) {
  switch (to.plan.recipe->precision) {
    case Precision::fp16: return pack_tensor_with<Pack<kernels::Half>>(to, b);
    case Precision::bf16: return pack_tensor_with<Pack<kernels::Bfloat16>>(to, b);
    default: return pack_tensor_with<Pack<kernels::Tf32>>(to, b);
  }
}

double tensor_blocks(const Grid& grid) {
  using Tile = kernels::ConvTile;
  const int columns = grid.fuses_projection ? grid.channels : Tile::kColumns;
  return static_cast<double>(Tile::tiles(grid.positions.h, grid.positions.w)) * (grid.channels / columns);
}

// ---- libraries (library_stages.h) ----

void pack_for_library(const Packing& to, int b) {
  const Precision precision = to.plan.recipe->precision;
  const std::vector<float> weight = pack_channels_last(to.blocks[b].weight, kChannels[b + 1], kChannels[b], 4);
  put(to.memory, to.plan.weight[b], from_floats(weight, precision));
  put(to.memory, to.plan.bias[b], from_floats(to.blocks[b].bias, precision));
}

// Of a projection that is not fused with block 4.
void pack_projection(const Packing& to) {
  if (to.plan.recipe->providers.projection() == Provider::own) {
    put(to.memory, to.plan.projection, pack_weight(to.projection, kMapChannels, kChannels[kBlocks], 1));
  } else {
    put(to.memory, to.plan.projection, from_floats(to.projection, to.plan.recipe->precision));
  }
}

struct Row {
  BlockConvolution convolution;
  void (*pack)(const Packing&, int block);
  double (*blocks)(const Grid&);
};

constexpr Row kRows[] = {
    {BlockConvolution::direct, pack_direct, direct_blocks},
    {BlockConvolution::winograd, pack_by_winograd, winograd_blocks},
    {BlockConvolution::tensor, pack_tensor<ByWarps>, tensor_blocks},
    {BlockConvolution::wgmma, pack_tensor<ByWarpgroups>, tensor_blocks},
};

const Row& row_of(const Recipe& recipe) { return *std::ranges::find(kRows, recipe.convolution, &Row::convolution); }

}  // namespace

void pack_convolutions(std::byte* memory, const WeightPlan& plan, std::span<const FoldedBlock> blocks,
                       std::span<const float> projection) {
  const Packing to{memory, plan, blocks, projection};
  for (int b = 1; b < kBlocks; ++b) {
    if (plan.recipe->providers.block(b) != Provider::own) {
      pack_for_library(to, b);
      continue;
    }
    row_of(*plan.recipe).pack(to, b);
    put(memory, plan.bias[b], blocks[b].bias);
  }
  if (!plan.recipe->fuses_projection) pack_projection(to);
}

double thread_blocks(const Recipe& recipe, int block, const MapSize& out) {
  const bool last = block + 1 == kBlocks;
  const int across = last ? 1 : 2;  // positions of the convolution that are pooled to one
  return row_of(recipe).blocks(
      {{across * out.h, across * out.w}, kChannels[block + 1], last && recipe.fuses_projection});
}

}  // namespace lfm
