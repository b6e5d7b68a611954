#include "kernels/pool_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "lfm/error.h"
#include "src/model/rbld.h"
#include "src/random/philox.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using PoolTrainingTest = KernelTest;
constexpr int kChannels = 64;
constexpr kernels::DrawOrigin kOrigin{0x123456789abcdefull, 77, 5};

TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.RbldDropsByRankAsTheGeneratorSays") {
  constexpr int rows = 2 * kChannels;
  for (const int k : {1, 16, 21}) {
    const auto drop = rbld_drop_probabilities(0.1f, 0.6f, k), scale = rbld_scales(0.1f, 0.6f, k, RbldScale::rank);
    const auto values = uniform(static_cast<std::size_t>(rows) * k, 3);
    const DeviceArray<float> drop_on(drop), scale_on(scale);
    const DeviceArray<float> in_out(values);  // multiplied in every order; only the factors are compared here
    const auto factors = result_of<float>(values.size(), [&, k = k](float* out, kernels::Stream stream) {
      kernels::rbld(in_out.data(), out, nullptr, drop_on.data(), scale_on.data(), kOrigin, rows, kChannels, k, stream);
    });
    const DeviceArray<float> once(values), factors_on(values.size());
    device::Stream stream(context());
    kernels::rbld(once.data(), factors_on.data(), nullptr, drop_on.data(), scale_on.data(), kOrigin, rows, kChannels, k,
                  stream.handle());
    stream.synchronize();
    const auto after = once.read();
    int dropped = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const int rank = static_cast<int>(i) % k, row = static_cast<int>(i) / k;
      const bool kept = rbld_uniform(kOrigin.seed, kOrigin.step, kOrigin.first_image + row / kChannels, row % kChannels,
                                     rank) >= drop[rank];
      REQUIRE_MESSAGE(factors[i] == (kept ? scale[rank] : 0.0f), "row " << row << ", rank " << rank);
      REQUIRE(after[i] == values[i] * factors[i]);
      dropped += !kept;
    }
    CHECK(dropped > 0);
    CHECK(dropped < static_cast<int>(values.size()));
  }
}

TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.RbldTakesInjectedMasks") {
  constexpr int rows = kChannels, k = 2;
  std::vector<std::uint8_t> keep(rows * k);
  for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 == 0;
  const DeviceArray<std::uint8_t> keep_on(keep);
  const DeviceArray<float> values(std::vector<float>(rows * k, 2.0f)), scale(std::vector<float>{1.5f, 3.0f}),
      factors(rows * k);
  device::Stream stream(context());
  kernels::rbld(values.data(), factors.data(), keep_on.data(), nullptr, scale.data(), {}, rows, kChannels, k,
                stream.handle());
  stream.synchronize();
  const auto got = values.read();
  for (std::size_t i = 0; i < got.size(); ++i) QUICK_REQUIRE(got[i] == (keep[i] ? (i % 2 ? 6.0f : 3.0f) : 0.0f), i);
}

TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.RksDrawsWhatTheGeneratorDraws") {
  for (const auto& [images, area, k] : {std::tuple{1, 16, 16}, {3, 36, 16}, {1, 5, 1}, {1, 700, 128}}) {
    const int rows = images * kChannels;
    const auto got = result_of<std::int32_t>(static_cast<std::size_t>(rows) * k,
                                             [&, area = area, k = k](std::int32_t* out, kernels::Stream stream) {
                                               kernels::rks_draw(out, kOrigin, rows, kChannels, area, k, stream);
                                             });
    std::vector<std::int32_t> want(static_cast<std::size_t>(k));
    for (int row = 0; row < rows; ++row) {
      rks_positions(kOrigin.seed, kOrigin.step, kOrigin.first_image + static_cast<std::uint32_t>(row / kChannels),
                    row % kChannels, area, k, want.data());
      for (int i = 0; i < k; ++i)
        QUICK_REQUIRE(got[row * k + i] == want[i], "row " << row << ", draw " << i << " of area " << area);
    }
  }
}

// Few distinct values, so that the order of equal ones shows; and values with no order of their own.
TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.RksSortsDescendingTiesByLowerPosition") {
  constexpr int rows = kChannels, area = 90, k = 40;
  auto maps = uniform(rows * area, 8);
  for (float& v : maps) v = std::floor(v * 4.0f);
  maps[3] = std::numeric_limits<float>::infinity();
  maps[4] = -maps[3];
  maps[5] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::int32_t> drawn(rows * k);
  for (int row = 0; row < rows; ++row) {
    std::vector<std::int32_t> all(area);
    std::iota(all.begin(), all.end(), 0);
    std::shuffle(all.begin(), all.end(), std::mt19937(static_cast<unsigned>(row)));
    std::copy_n(all.begin(), k, drawn.begin() + row * k);
  }
  const DeviceArray<float> maps_on(maps), values_scratch(drawn.size());
  const DeviceArray<std::int32_t> drawn_on(drawn), positions_scratch(drawn.size());
  const auto values = result_of<float>(drawn.size(), [&](float* out, kernels::Stream stream) {
    kernels::rks_gather(out, positions_scratch.data(), drawn_on.data(), maps_on.data(), rows, area, k, stream);
  });
  const auto positions = result_of<std::int32_t>(drawn.size(), [&](std::int32_t* out, kernels::Stream stream) {
    kernels::rks_gather(values_scratch.data(), out, drawn_on.data(), maps_on.data(), rows, area, k, stream);
  });
  for (int row = 0; row < rows; ++row) {
    const float* map = maps.data() + row * area;
    std::sort(drawn.begin() + row * k, drawn.begin() + (row + 1) * k, [&](std::int32_t a, std::int32_t b) {
      if (std::isnan(map[a]) || std::isnan(map[b])) return std::isnan(map[a]) && !std::isnan(map[b]);
      return map[a] != map[b] ? map[a] > map[b] : a < b;
    });
    for (int i = row * k; i < (row + 1) * k; ++i) {
      QUICK_REQUIRE(positions[i] == drawn[i], "row " << row);
      const float want = map[drawn[i]];
      REQUIRE_MESSAGE((values[i] == want || (std::isnan(values[i]) && std::isnan(want))), "row " << row);
    }
  }
}

// Top-k positions with factors, then RKS positions that meet some of them.
TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.BackwardScattersAndAdds") {
  constexpr int images = 2, rows = images * kChannels, area = 35, k = 16;
  const auto grad_a = uniform(rows * k, 1), grad_b = uniform(rows * k, 2), factors = uniform(rows * k, 3);
  const auto topk = result_of<std::int32_t>(rows * k, [&](std::int32_t* out, kernels::Stream s) {
    kernels::rks_draw(out, {1, 0, 0}, rows, kChannels, area, k, s);
  });
  const auto rks = result_of<std::int32_t>(rows * k, [&](std::int32_t* out, kernels::Stream s) {
    kernels::rks_draw(out, {2, 0, 0}, rows, kChannels, area, k, s);
  });
  const DeviceArray<float> a(grad_a), b(grad_b), factors_on(factors);
  const DeviceArray<std::int32_t> topk_on(topk), rks_on(rks);
  constexpr std::size_t count = static_cast<std::size_t>(rows) * area;
  const DeviceArray<float> zeros(std::vector<float>(count, 0.0f));
  std::vector<float> want(count, 0.0f);
  const auto at = [&](int i, const std::vector<std::int32_t>& positions) {
    const int row = i / k;
    return (static_cast<std::size_t>(row / kChannels) * area + positions[i]) * kChannels + row % kChannels;
  };
  for (int i = 0; i < rows * k; ++i) want[at(i, topk)] += grad_a[i] * factors[i];
  for (int i = 0; i < rows * k; ++i) want[at(i, rks)] += grad_b[i];
  const auto got = result_of<float>(count, [&](float* out, kernels::Stream s) {
    kernels::average_pool_backward(out, zeros.data(), rows, kChannels, area, false, s);  // clears
    kernels::pool_backward(out, a.data(), factors_on.data(), topk_on.data(), rows, kChannels, area, k, s);
    kernels::pool_backward(out, b.data(), nullptr, rks_on.data(), rows, kChannels, area, k, s);
  });
  for (std::size_t i = 0; i < count; ++i) {
    QUICK_REQUIRE(std::abs(got[i] - want[i]) <= 1e-7, "at " << i << ": " << got[i] << ", expected " << want[i]);
  }
}

TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.AverageBackward") {
  constexpr int rows = 2 * kChannels, area = 7;
  const auto grad = uniform(rows, 4);
  const DeviceArray<float> on(grad);
  const auto got = result_of<float>(rows * area, [&](float* out, kernels::Stream s) {
    kernels::average_pool_backward(out, on.data(), rows, kChannels, area, false, s);
  });
  for (int i = 0; i < rows * area; ++i)
    REQUIRE(got[i] == grad[i / kChannels / area * kChannels + i % kChannels] / 7.0f);
}

TEST_CASE_METHOD(PoolTrainingTest, "PoolTrainingTest.RefusesWhatItCannotDraw") {
  CHECK_THROWS_AS(kernels::rks_draw(nullptr, {}, kChannels, kChannels, 8, 9, nullptr), Error);
  CHECK_THROWS_AS(kernels::rbld(nullptr, nullptr, nullptr, nullptr, nullptr, {}, kChannels + 1, kChannels, 4, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
