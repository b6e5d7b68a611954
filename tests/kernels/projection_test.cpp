#include "kernels/projection.h"

#include <tuple>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using ProjectionTest = KernelTest;
using Launcher = void (*)(float*, const float*, const float*, int, int, int, kernels::Stream);
constexpr int kChannels = kernels::kProjectionChannels;

void check(Launcher launcher, int n, int area, int ic, const char* name) {
  const unsigned seed = static_cast<unsigned>(area * 100 + ic);
  const auto x = uniform(static_cast<std::size_t>(n) * area * ic, seed);
  const auto w = uniform(static_cast<std::size_t>(ic) * kChannels, seed + 1);
  const DeviceArray<float> input(x), weight(w);
  const auto got = result_of<float>(
      static_cast<std::size_t>(n) * kChannels * area,
      [&](float* maps, kernels::Stream stream) { launcher(maps, input.data(), weight.data(), n, area, ic, stream); });
  std::vector<Reference> want(got.size());
  for (int image = 0; image < n; ++image) {
    for (int o = 0; o < kChannels; ++o) {
      for (int p = 0; p < area; ++p) {
        Reference& sum = want[(image * kChannels + o) * area + p];
        for (int c = 0; c < ic; ++c) sum.add(double{x[(image * area + p) * ic + c]} * w[c * kChannels + o]);
      }
    }
  }
  expect_close(got, want, ic, fmt::format("{} [{}][{}][{}], seed {}", name, n, area, ic, seed));
}

TEST_CASE_METHOD(ProjectionTest, "ProjectionTest.NaiveEqualsTheDefinition") {
  for (const auto& [n, area, ic] : {std::tuple{1, 1, 1}, {3, 7, 5}, {2, 16, 24}})
    check(kernels::projection_naive, n, area, ic, "naive");
}

// Areas that are and are not multiples of 4; images whose border lies inside a thread's rows; tails.
TEST_CASE_METHOD(ProjectionTest, "ProjectionTest.TunedEqualsTheDefinition") {
  for (const auto& [n, area, ic] : {std::tuple{1, 1, 8}, {3, 7, 16}, {2, 64, 24}, {5, 35, 512}, {3, 44, 8}}) {
    check(kernels::projection, n, area, ic, "tuned");
  }
}

TEST_CASE_METHOD(ProjectionTest, "ProjectionTest.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(kernels::projection(nullptr, nullptr, nullptr, 1, 4, 12, nullptr), Error);
  CHECK_THROWS_AS(kernels::projection(nullptr, nullptr, nullptr, 0, 4, 8, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
