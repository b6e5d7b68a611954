#include "src/engine/cuda/pass_size.h"

#include <algorithm>
#include <cmath>

#include "src/engine/cuda/convolution.h"

namespace lfm {

namespace {

constexpr double kAsGood = 0.01;

}  // namespace

std::vector<ImageGrid> convolution_grids(const Recipe& recipe, const NetworkShape& shape) {
  std::vector<ImageGrid> grids;
  for (int block = 1; block < kBlocks; ++block) {
    if (recipe.providers.block(block) != Provider::own) continue;
    const MapSize& out = shape.out[block];
    const double positions = block + 1 == kBlocks ? out.area() : 4 * out.area();
    grids.push_back({thread_blocks(recipe, block, out), recipe.resident_blocks,
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
  if (grids.empty()) return most;  // libraries convolve, whose grids are theirs
  const auto share = [&](int n) { return busy_share(grids, n, multiprocessors); };
  double best = 0;
  for (int n = most / 2 + 1; n <= most; ++n) best = std::max(best, share(n));
  int n = most;
  while (share(n) < best - kAsGood) --n;
  return n;
}

int images_that_are_split(int tiles, int multiprocessors) { return multiprocessors / (2 * tiles); }

}  // namespace lfm
