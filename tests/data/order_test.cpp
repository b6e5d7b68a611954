#include "src/data/order.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "src/model/label.h"
#include "tests/catch.h"

namespace lfm {
namespace {

Dataset dataset_of(std::size_t reals, std::size_t fakes) {
  Dataset dataset;
  dataset.samples.resize(reals + fakes);
  for (std::size_t i = reals; i < reals + fakes; ++i) dataset.samples[i].label = 1;
  dataset.reals = reals;
  dataset.fakes = fakes;
  return dataset;
}

TEST_CASE("Order.IsAPermutationThatChangesWithSeedAndEpoch") {
  const Dataset dataset = dataset_of(70, 30);
  const auto order = training_order(dataset, 7, 3, false);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::uint32_t> all(100);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(sorted == all);
  CHECK(order != all);
  CHECK(order == training_order(dataset, 7, 3, false));
  CHECK(order != training_order(dataset, 7, 4, false));
  CHECK(order != training_order(dataset, 8, 3, false));
}

// Every image is equally likely at every place: a chi-squared statistic with 19 degrees of freedom, whose
// 99.99 % point is 50.8.
TEST_CASE("Order.IsUniform") {
  const Dataset dataset = dataset_of(20, 0);
  std::vector<int> at_first(20), at_last(20);
  constexpr int epochs = 4000;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto order = training_order(dataset, 1, static_cast<std::uint64_t>(epoch), false);
    ++at_first[order.front()];
    ++at_last[order.back()];
  }
  for (const auto& counts : {at_first, at_last}) {
    double chi_squared = 0;
    for (const int count : counts) chi_squared += (count - epochs / 20.0) * (count - epochs / 20.0) / (epochs / 20.0);
    CHECK(chi_squared < 50.8);
  }
}

TEST_CASE("Order.BalanceRepeatsTheRarerLabelEvenly") {
  const Dataset dataset = dataset_of(50, 15);
  const auto order = training_order(dataset, 7, 0, true);
  REQUIRE(order.size() == training_order_size(dataset, true));
  REQUIRE(order.size() == 100u);
  std::map<std::uint32_t, int> times;
  for (const std::uint32_t i : order) ++times[i];
  for (std::uint32_t i = 0; i < 50; ++i) CHECK_MESSAGE(times[i] == 1, i);
  for (std::uint32_t i = 50; i < 65; ++i) CHECK_MESSAGE((times[i] == 3 || times[i] == 4), i);
  // The repeated images are spread over the epoch, not appended to it.
  CHECK(std::count_if(order.begin(), order.begin() + 50, [](auto i) { return i >= 50; }) > 10);
}

TEST_CASE("Order.BalanceShowsUnlabelledImagesOnce") {
  Dataset dataset = dataset_of(50, 15);
  dataset.samples.resize(85);
  for (std::size_t i = 65; i < 85; ++i) dataset.samples[i].label = kUnlabelled;
  dataset.unlabelled = 20;
  const auto order = training_order(dataset, 7, 0, true);
  REQUIRE(order.size() == training_order_size(dataset, true));
  REQUIRE(order.size() == 120u);
  CHECK(std::count_if(order.begin(), order.end(), [](auto i) { return i >= 65; }) == 20);
  CHECK(std::count_if(order.begin(), order.end(), [](auto i) { return i >= 50 && i < 65; }) == 50);
}

TEST_CASE("EpochCut.CountsSteps") {
  CHECK((EpochCut{100, 32, 1, true}.steps()) == 3u);
  CHECK((EpochCut{100, 32, 1, false}.steps()) == 4u);
  CHECK((EpochCut{96, 32, 1, false}.steps()) == 3u);
  CHECK_MESSAGE((EpochCut{97, 32, 2, false}.steps()) == 3u, "one image can't be split over two ranks");
  CHECK((EpochCut{10, 32, 1, true}.steps()) == 0u);
}

TEST_CASE("EpochCut.RanksShareEachBatchContiguously") {
  const EpochCut cut{103, 32, 3, false};
  REQUIRE(cut.steps() == 4u);
  std::size_t place = 0;
  for (std::size_t step = 0; step < cut.steps(); ++step) {
    for (std::size_t rank = 0; rank < 3; ++rank) {
      const ImageRange mine = cut.of_rank(step, rank);
      CHECK(mine.first == place);
      CHECK(mine.count() >= cut.global(step).count() / 3);
      place = mine.last;
    }
    CHECK(place == cut.global(step).last);
  }
  CHECK(place == 103u);
}

}  // namespace
}  // namespace lfm
