// How many images go through a GPU together. A kernel's blocks run in waves: as many at a time as the GPU's
// multiprocessors hold. A last wave that is mostly empty takes as long as a full one, so the number of images is one
// whose waves are full. By arithmetic alone: no device is asked.
#pragma once

#include <vector>

#include "src/engine/cuda/recipe.h"
#include "src/model/architecture.h"

namespace lfm {

/// What a kernel makes of one image.
struct ImageGrid {
  double blocks = 0;  ///< not always whole: a block may compute the end of one image and the beginning of the next
  int resident = 1;   ///< blocks that a multiprocessor holds
  double multiply_adds = 0;
};

/// Of the recipe's convolutions, blocks 2 to 4: what they take grows with their waves. The other kernels' grids are so
/// fine that their last wave is a small part of all.
std::vector<ImageGrid> convolution_grids(const Recipe& recipe, const NetworkShape& shape);

/// The part of the multiprocessors' time that has work to do, of n images: 1 where all waves are full. Counts a wave
/// that isn't full as one that is.
double busy_share(const std::vector<ImageGrid>& grids, int n, int multiprocessors);

/// The number of images, at most `most` and more than half of it, that leaves least of the multiprocessors' time
/// unused. Among those that leave as little, up to one per cent, the largest: a launch costs the same whatever it
/// carries.
int images_of_a_pass(const std::vector<ImageGrid>& grids, int most, int multiprocessors);

/// The last block's tiles are few. Where those of a pass are fewer than half of the multiprocessors, so that the others
/// would have nothing to do, each is split over several blocks of threads (last_block_tensor.h). The images up to which
/// that is so; tiles: of one.
int images_that_are_split(int tiles, int multiprocessors);

}  // namespace lfm
