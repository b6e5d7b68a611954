// Top-k and average pooling.
#include "kernels/topk_pool.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "kernels/average_pool.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using PoolTest = KernelTest;

struct Selected {
  std::vector<float> values;
  std::vector<std::int32_t> positions;
};

Selected run_topk(const std::vector<float>& maps, int rows, int area, int k) {
  const DeviceArray<float> input(maps);
  const std::size_t count = static_cast<std::size_t>(rows) * k;
  const DeviceArray<float> scratch(count);
  Selected got;
  got.values = result_of<float>(count, [&](float* values, kernels::Stream stream) {
    kernels::topk_pool(values, nullptr, input.data(), rows, area, k, stream);
  });
  got.positions = result_of<std::int32_t>(count, [&](std::int32_t* positions, kernels::Stream stream) {
    kernels::topk_pool(scratch.data(), positions, input.data(), rows, area, k, stream);
  });
  return got;
}

// A stable sort by descending value.
std::vector<std::int32_t> ranking(const float* map, int area) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(area));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return map[a] > map[b]; });
  return order;
}

void expect_topk(const std::vector<float>& maps, int rows, int area, int k, const char* what) {
  const Selected got = run_topk(maps, rows, area, k);
  for (int row = 0; row < rows; ++row) {
    const float* map = maps.data() + static_cast<std::ptrdiff_t>(row) * area;
    const auto order = ranking(map, area);
    for (int r = 0; r < k; ++r) {
      QUICK_REQUIRE(got.positions[row * k + r] == order[r],
                    what << ": row " << row << ", rank " << r << ", area " << area << ", k " << k);
      REQUIRE_MESSAGE(got.values[row * k + r] == map[order[r]], what << ": row " << row << ", rank " << r);
    }
  }
}

TEST_CASE_METHOD(PoolTest, "PoolTest.TopKOfRandomMaps") {
  for (const auto& [rows, area, k] : {std::tuple{1, 1, 1},
                                      {5, 16, 16},
                                      {3, 33, 7},
                                      {6, 225, 16},
                                      {2, 900, 32},
                                      {2, 300, 33},
                                      {1, 200, 64},
                                      {2, 500, 128},
                                      {1, 128, 128}}) {
    expect_topk(uniform(static_cast<std::size_t>(rows) * area, static_cast<unsigned>(area + k)), rows, area, k,
                "random");
  }
}

TEST_CASE_METHOD(PoolTest, "PoolTest.TopKTiesGoToTheLowerPosition") {
  constexpr int area = 150;
  for (const int k : {1, 5, 16, 40}) {
    std::vector<float> equal(2 * area, 0.5f), few = uniform(2 * area, 3);
    for (float& v : few) v = std::floor(v * 3.0f);  // few distinct values, -0 among them
    expect_topk(equal, 2, area, k, "all equal");
    expect_topk(few, 2, area, k, "few values");
  }
}

TEST_CASE_METHOD(PoolTest, "PoolTest.TopKOfSortedMaps") {
  constexpr int area = 131;
  std::vector<float> rising(area);
  std::iota(rising.begin(), rising.end(), -60.0f);
  expect_topk(rising, 1, area, 16, "rising");
  std::reverse(rising.begin(), rising.end());
  expect_topk(rising, 1, area, 16, "falling");
}

TEST_CASE_METHOD(PoolTest, "PoolTest.TopKOfExtremeValues") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> maps = {-infinity, -3e38f, -1e-45f, 0.0f, 1e-45f, 3e38f, infinity, -infinity, 1.0f, -1.0f};
  expect_topk(maps, 1, 10, 10, "extremes");
  maps[3] = std::numeric_limits<float>::quiet_NaN();
  const Selected got = run_topk(maps, 1, 10, 3);
  CHECK(std::isnan(got.values[0]));
  CHECK(got.positions == (std::vector<std::int32_t>{3, 6, 5}));
}

TEST_CASE_METHOD(PoolTest, "PoolTest.TopKRefusesWhatItCannotSelect") {
  CHECK_THROWS_AS(kernels::topk_pool(nullptr, nullptr, nullptr, 1, 8, 9, nullptr), Error);
  CHECK_THROWS_AS(kernels::topk_pool(nullptr, nullptr, nullptr, 1, 8, 0, nullptr), Error);
  CHECK_THROWS_AS(kernels::topk_pool(nullptr, nullptr, nullptr, 1, 900, 129, nullptr), Error);
}

TEST_CASE_METHOD(PoolTest, "PoolTest.Average") {
  struct Size {
    int rows, area;
  };
  for (const Size& size : {Size{1, 1}, {5, 31}, {6, 225}, {64, 900}}) {
    const int rows = size.rows, area = size.area;
    const unsigned seed = static_cast<unsigned>(area);
    const auto maps = uniform(static_cast<std::size_t>(rows) * area, seed);
    const DeviceArray<float> input(maps);
    const auto got = result_of<float>(static_cast<std::size_t>(rows), [&](float* values, kernels::Stream stream) {
      kernels::average_pool(values, input.data(), rows, area, stream);
    });
    std::vector<Reference> want(got.size());
    for (int i = 0; i < rows * area; ++i) want[i / area].add(double{maps[i]} / area);
    expect_close(got, want, area, fmt::format("average of {}, seed {}", area, seed));
  }
}

}  // namespace
}  // namespace lfm::test
