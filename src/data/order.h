// Which image comes when: the order of an epoch, and how it is cut into steps and ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/data/dataset.h"

namespace lfm {

/// Sample indices of one epoch: a permutation of the data set, drawn for (seed, epoch). balance (needs both
/// labels): the rarer label's images are repeated until they are as many as the other's; how often two of them
/// come differs by one at most. Unlabelled images come once.
std::vector<std::uint32_t> training_order(const Dataset& dataset, std::uint64_t seed, std::uint64_t epoch,
                                          bool balance);

/// Its length, which is every epoch's.
std::size_t training_order_size(const Dataset& dataset, bool balance);

/// Images first <= i < last.
struct ImageRange {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t count() const { return last - first; }
};

/// How an epoch is cut up.
struct EpochCut {
  std::size_t images = 0;  ///< of the epoch
  std::size_t batch = 0;   ///< of a global batch
  std::size_t ranks = 1;
  bool drop_last = false;

  /// A smaller last batch counts if it isn't dropped and every rank gets an image of it.
  std::size_t steps() const;
  ImageRange global(std::size_t step) const;                     ///< places in the epoch
  ImageRange of_rank(std::size_t step, std::size_t rank) const;  ///< its contiguous part
};

}  // namespace lfm
