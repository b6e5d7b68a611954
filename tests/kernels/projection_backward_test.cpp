#include "kernels/projection_backward.h"

#include <tuple>

#include "kernels/transpose.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using ProjectionBackwardTest = KernelTest;
constexpr int kChannels = kernels::kProjectionChannels;

// One position, a tile with a tail, several slices with a tail.
TEST_CASE_METHOD(ProjectionBackwardTest, "ProjectionBackwardTest.EqualsTheDefinition") {
  for (const auto& [positions, ic] : {std::tuple{1, 128}, {35, 128}, {131, 256}, {299, 128}}) {
    const unsigned seed = static_cast<unsigned>(positions);
    const auto x = uniform(static_cast<std::size_t>(positions) * ic, seed);
    const auto w = uniform(static_cast<std::size_t>(ic) * kChannels, seed + 1);
    const auto g = uniform(static_cast<std::size_t>(positions) * kChannels, seed + 2);
    std::vector<Reference> want_x(x.size()), want_w(w.size());
    for (int p = 0; p < positions; ++p) {
      for (int c = 0; c < ic; ++c) {
        for (int o = 0; o < kChannels; ++o) {
          want_x[p * ic + c].add(double{g[p * kChannels + o]} * w[c * kChannels + o]);
          want_w[c * kChannels + o].add(double{g[p * kChannels + o]} * x[p * ic + c]);
        }
      }
    }
    const DeviceArray<float> input(x), weight(w), grad(g), transposed(w.size());
    const auto got_x =
        result_of<float>(x.size(), [&, ic = ic, positions = positions](float* output, kernels::Stream stream) {
          kernels::transpose(transposed.data(), weight.data(), 1, ic, 64, false, stream);
          kernels::projection_backward_input(output, grad.data(), transposed.data(), positions, ic, stream);
        });
    expect_close(got_x, want_x, kChannels, fmt::format("input, {} positions of {}, seed {}", positions, ic, seed));

    const DeviceArray<float> scratch(kernels::projection_backward_weight_scratch(positions, ic));
    const auto got_w =
        result_of<float>(w.size(), [&, ic = ic, positions = positions](float* output, kernels::Stream stream) {
          kernels::projection_backward_weight(output, scratch.data(), input.data(), grad.data(), positions, ic, false,
                                              stream);
        });
    expect_close(got_w, want_w, positions, fmt::format("weight, {} positions of {}, seed {}", positions, ic, seed));
  }
}

TEST_CASE_METHOD(ProjectionBackwardTest, "ProjectionBackwardTest.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(kernels::projection_backward_input(nullptr, nullptr, nullptr, 4, 64, nullptr), Error);
  CHECK_THROWS_AS(kernels::projection_backward_weight(nullptr, nullptr, nullptr, nullptr, 0, 128, false, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
