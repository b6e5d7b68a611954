#include "src/data/order.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "src/model/label.h"
#include "src/random/philox.h"

namespace lfm {
namespace {

/// Fisher-Yates. `which` tells the shuffles of one epoch apart.
void shuffle(std::vector<std::uint32_t>& order, std::uint64_t seed, std::uint64_t epoch, std::uint32_t which) {
  for (auto last = static_cast<std::uint32_t>(order.size()); last > 1; --last) {
    const PhiloxBlock block = draw_block(seed, epoch, last - 1, Stream::shuffle, which);
    std::swap(order[last - 1], order[uniform_below(block.word[0], last)]);
  }
}

}  // namespace

std::size_t training_order_size(const Dataset& dataset, bool balance) {
  const std::size_t missing = std::max(dataset.reals, dataset.fakes) - std::min(dataset.reals, dataset.fakes);
  return dataset.samples.size() + (balance ? missing : 0);
}

std::vector<std::uint32_t> training_order(const Dataset& dataset, std::uint64_t seed, std::uint64_t epoch,
                                          bool balance) {
  std::vector<std::uint32_t> order(dataset.samples.size());
  std::iota(order.begin(), order.end(), 0u);
  if (balance && dataset.reals != dataset.fakes) {
    const std::uint8_t rarer_label = dataset.fakes < dataset.reals ? kFake : kReal;
    std::vector<std::uint32_t> rarer;
    std::copy_if(order.begin(), order.end(), std::back_inserter(rarer),
                 [&](std::uint32_t i) { return dataset.samples[i].label == rarer_label; });
    shuffle(rarer, seed, epoch, 1);
    const std::size_t size = training_order_size(dataset, balance);
    for (std::size_t i = 0; order.size() < size; ++i) order.push_back(rarer[i % rarer.size()]);
  }
  shuffle(order, seed, epoch, 0);
  return order;
}

std::size_t EpochCut::steps() const {
  const std::size_t rest = images % batch;
  return images / batch + (!drop_last && rest > 0 && rest >= ranks ? 1 : 0);
}

ImageRange EpochCut::global(std::size_t step) const { return {step * batch, std::min((step + 1) * batch, images)}; }

ImageRange EpochCut::of_rank(std::size_t step, std::size_t rank) const {
  const ImageRange all = global(step);
  return {all.first + all.count() * rank / ranks, all.first + all.count() * (rank + 1) / ranks};
}

}  // namespace lfm
