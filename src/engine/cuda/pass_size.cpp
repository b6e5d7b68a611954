#include "src/engine/cuda/pass_size.h"

#include <algorithm>
#include <cmath>

#include "kernels/tensor_layout.h"
#include "kernels/winograd_layout.h"

namespace lfm {

namespace {

constexpr double kAsGood = 0.01;

constexpr int parts(int items, int of) { return (items + of - 1) / of; }

/// Blocks of threads that convolve an image to `out`, which is pooled in all blocks of the network but the last.
double blocks_of(const Recipe& recipe, int block, const MapSize& out) {
  const bool last = block + 1 == kBlocks;
  const int channels = kChannels[block + 1], positions = last ? 1 : 2;  // positions: of the convolution, across a value
  switch (recipe.convolution) {
    case BlockConvolution::tensor: {
      using Tile = kernels::ConvTile;
      const int columns = last && recipe.fuses_projection ? channels : Tile::kColumns;
      return static_cast<double>(parts(positions * out.h, Tile::kHeight)) * parts(positions * out.w, Tile::kWidth) *
             (channels / columns);
    }
    case BlockConvolution::winograd: {
      using Tile = kernels::WinogradTile;
      return static_cast<double>(parts(positions * out.h, 2 * Tile::kSide)) *
             parts(positions * out.w, 2 * Tile::kSide) * (channels / Tile::kColumns);
    }
    case BlockConvolution::direct: {
      constexpr double kTile = 128.0 * 128.0;  // conv2x2.cu
      return static_cast<double>(positions * positions * out.area()) * channels / kTile;
    }
  }
  return 1;
}

}  // namespace

std::vector<ImageGrid> convolution_grids(const Recipe& recipe, const NetworkShape& shape) {
  std::vector<ImageGrid> grids;
  for (int block = 1; block < kBlocks; ++block) {
    const MapSize& out = shape.out[block];
    const double positions = block + 1 == kBlocks ? out.area() : 4 * out.area();
    grids.push_back({blocks_of(recipe, block, out), recipe.resident_blocks,
                     positions * 4 * kChannels[block] * kChannels[block + 1]});
  }
  return grids;
}

double busy_share(const std::vector<ImageGrid>& grids, int n, int multiprocessors) {
  double work = 0, time = 0;
  for (const ImageGrid& grid : grids) {
    const double at_once = static_cast<double>(multiprocessors) * grid.resident;
    work += n * grid.multiply_adds;
    time += std::ceil(n * grid.blocks / at_once) * at_once * grid.multiply_adds / grid.blocks;
  }
  return work / time;
}

int images_of_a_pass(const std::vector<ImageGrid>& grids, int most, int multiprocessors) {
  const auto share = [&](int n) { return busy_share(grids, n, multiprocessors); };
  double best = 0;
  for (int n = most / 2 + 1; n <= most; ++n) best = std::max(best, share(n));
  int n = most;
  while (share(n) < best - kAsGood) --n;
  return n;
}

}  // namespace lfm
