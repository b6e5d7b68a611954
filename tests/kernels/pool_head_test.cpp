// Top-k pooling and head together, against each by itself.
#include "kernels/pool_head.h"

#include <tuple>

#include "kernels/head.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using PoolHeadTest = KernelTest;

TEST_CASE_METHOD(PoolHeadTest, "PoolHeadTest.EqualsPoolingThenHead") {
  struct Size {
    int n, channels, area, k;
  };
  for (const Size& size : {Size{1, 64, 16, 16}, {3, 64, 35, 16}, {2, 21, 100, 7}, {1, 5, 150, 40}, {1, 17, 140, 100}}) {
    const int n = size.n, channels = size.channels, area = size.area, k = size.k;
    const unsigned seed = static_cast<unsigned>(area);
    const std::size_t count = static_cast<std::size_t>(n) * channels * k;
    const DeviceArray<float> maps(uniform(static_cast<std::size_t>(n) * channels * area, seed));
    const auto weights = uniform(static_cast<std::size_t>(channels) * k, seed + 1);
    const DeviceArray<float> weight(weights), bias(std::vector<float>{0.25f}), spare(static_cast<std::size_t>(n)),
        spare_features(count);
    const auto want = result_of<float>(count, [&](float* values, kernels::Stream stream) {
      kernels::topk_pool(values, nullptr, maps.data(), n * channels, area, k, stream);
    });
    const auto features = result_of<float>(count, [&](float* values, kernels::Stream stream) {
      kernels::pool_head(spare.data(), values, maps.data(), weight.data(), bias.data(), n, channels, area, k, stream);
    });
    CHECK(features == want);
    const auto logits = result_of<float>(static_cast<std::size_t>(n), [&](float* values, kernels::Stream stream) {
      kernels::pool_head(values, spare_features.data(), maps.data(), weight.data(), bias.data(), n, channels, area, k,
                         stream);
    });
    std::vector<Reference> sums(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < count; ++i)
      sums[i / weights.size()].add(double{features[i]} * weights[i % weights.size()]);
    for (Reference& sum : sums) sum.add(0.25);
    expect_close(logits, sums, channels * k,
                 fmt::format("pool_head of {} x {} maps of {}, k {}, seed {}", n, channels, area, k, seed));
  }
}

TEST_CASE_METHOD(PoolHeadTest, "PoolHeadTest.RefusesWhatItCannotSelect") {
  CHECK_THROWS_AS(kernels::pool_head(nullptr, nullptr, nullptr, nullptr, nullptr, 1, 64, 8, 9, nullptr), Error);
  CHECK_THROWS_AS(kernels::pool_head(nullptr, nullptr, nullptr, nullptr, nullptr, 1, 64, 900, 129, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
