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

void pack_fp32(const Packing& to, std::vector<float> (*pack)(std::span<const float> weight, int oc, int ic)) {
  for (int b = 1; b < kBlocks; ++b)
    put(to.memory, to.plan.weight[b], pack(to.blocks[b].weight, kChannels[b + 1], kChannels[b]));
  put(to.memory, to.plan.projection, pack_weight(to.projection, kMapChannels, kChannels[kBlocks], 1));
}

void pack_direct(const Packing& to) {
  pack_fp32(to, [](std::span<const float> weight, int oc, int ic) { return pack_weight(weight, oc, ic, 4); });
}

double direct_blocks(const Grid& grid) {
  constexpr double kTile = 128.0 * 128.0;
  return static_cast<double>(grid.positions.area()) * grid.channels / kTile;
}

// ---- Winograd (conv2x2_winograd.cu) ----

void pack_by_winograd(const Packing& to) { pack_fp32(to, pack_winograd); }

double winograd_blocks(const Grid& grid) {
  using Tile = kernels::WinogradTile;
  constexpr int kSide = 2 * Tile::kSide;
  return static_cast<double>(parts(grid.positions.h, kSide)) * parts(grid.positions.w, kSide) *
         (grid.channels / Tile::kColumns);
}

// ---- tensor cores (conv2x2_tensor.cu, last_block_tensor.cu), by warpgroups too (conv2x2_wgmma.cu) ----

template <typename T>
void pack_tensor_as(const Packing& to) {
  constexpr int last = kBlocks - 1;
  const bool wgmma = to.plan.recipe->convolution == BlockConvolution::wgmma;
  const auto pack = wgmma ? pack_wgmma_conv<T> : pack_tensor_conv<T>;
  const auto pack_last = wgmma ? pack_wgmma_last_block<T> : pack_tensor_last_block<T>;
  for (int b = 1; b < last; ++b)
    put(to.memory, to.plan.weight[b], pack(to.blocks[b].weight, kChannels[b + 1], kChannels[b]));
  put(to.memory, to.plan.weight[last],
      pack_last(to.blocks[last].weight, to.projection, kChannels[kBlocks], kChannels[last]));
}

void pack_tensor(const Packing& to) {
  switch (to.plan.recipe->precision) {
    case Precision::fp16: return pack_tensor_as<kernels::Half>(to);
    case Precision::bf16: return pack_tensor_as<kernels::Bfloat16>(to);
    default: return pack_tensor_as<kernels::Tf32>(to);
  }
}

double tensor_blocks(const Grid& grid) {
  using Tile = kernels::ConvTile;
  const int columns = grid.fuses_projection ? grid.channels : Tile::kColumns;
  return static_cast<double>(Tile::tiles(grid.positions.h, grid.positions.w)) * (grid.channels / columns);
}

struct Row {
  BlockConvolution convolution;
  void (*pack)(const Packing&);
  double (*blocks)(const Grid&);
};

constexpr Row kRows[] = {
    {BlockConvolution::direct, pack_direct, direct_blocks},
    {BlockConvolution::winograd, pack_by_winograd, winograd_blocks},
    {BlockConvolution::tensor, pack_tensor, tensor_blocks},
    {BlockConvolution::wgmma, pack_tensor, tensor_blocks},
};

const Row& row_of(const Recipe& recipe) { return *std::ranges::find(kRows, recipe.convolution, &Row::convolution); }

}  // namespace

void pack_convolutions(std::byte* memory, const WeightPlan& plan, std::span<const FoldedBlock> blocks,
                       std::span<const float> projection) {
  row_of(*plan.recipe).pack({memory, plan, blocks, projection});
}

double thread_blocks(const Recipe& recipe, int block, const MapSize& out) {
  const bool last = block + 1 == kBlocks;
  const int across = last ? 1 : 2;  // positions of the convolution that are pooled to one
  return row_of(recipe).blocks(
      {{across * out.h, across * out.w}, kChannels[block + 1], last && recipe.fuses_projection});
}

}  // namespace lfm
