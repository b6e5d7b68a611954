#include "kernels/stem.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using StemTest = KernelTest;
constexpr int kChannels = kernels::kStemOutputs, kTaps = 9;

int halved(int side) { return (side - 1) / 2 + 1; }
std::size_t output_count(int n, int h, int w) {
  return static_cast<std::size_t>(n) * halved(halved(h)) * halved(halved(w)) * kChannels;
}

struct Inputs {
  Inputs(int n, int h, int w, unsigned seed)
      : residual(uniform(static_cast<std::size_t>(n) * h * w * 3, seed, -60, 60)),
        weight(uniform(kTaps * 3 * kChannels, seed + 1)),
        bias(uniform(kChannels, seed + 2, -40, 40)) {}
  std::vector<float> residual, weight, bias;
};

// Convolution, bias, ReLU and pooling one after the other, in double.
std::vector<Reference> reference(const Inputs& in, int n, int h, int w) {
  const int ch = halved(h), cw = halved(w);
  std::vector<Reference> convolved;
  for (int image = 0; image < n; ++image) {
    for (int at = 0; at < ch * cw; ++at) {
      for (int o = 0; o < kChannels; ++o) {
        Reference sum;
        for (int tap = 0; tap < kTaps; ++tap) {
          const int y = 2 * (at / cw) + tap / 3 - 1, x = 2 * (at % cw) + tap % 3 - 1;
          if (y < 0 || y >= h || x < 0 || x >= w) continue;
          for (int c = 0; c < 3; ++c)
            sum.add(double{in.residual[((image * h + y) * w + x) * 3 + c]} * in.weight[(tap * 3 + c) * kChannels + o]);
        }
        sum.add(in.bias[o]);
        sum.value = std::max(sum.value, 0.0);
        convolved.push_back(sum);
      }
    }
  }
  std::vector<Reference> pooled;
  for (int image = 0; image < n; ++image) {
    for (int y = 0; y < halved(ch); ++y) {
      for (int x = 0; x < halved(cw); ++x) {
        for (int o = 0; o < kChannels; ++o) {
          Reference best{-1, 0};
          for (int row = std::max(0, 2 * y - 1); row <= std::min(ch - 1, 2 * y + 1); ++row) {
            for (int column = std::max(0, 2 * x - 1); column <= std::min(cw - 1, 2 * x + 1); ++column) {
              const Reference& one =
                  convolved[static_cast<std::size_t>(((image * ch + row) * cw + column) * kChannels + o)];
              best = {std::max(best.value, one.value), std::max(best.magnitude, one.magnitude)};
            }
          }
          pooled.push_back(best);
        }
      }
    }
  }
  return pooled;
}

// One pixel; odd and even sides, so that windows of both kinds are cut off at either end or not; tiles with a tail in
// both directions.
TEST_CASE_METHOD(StemTest, "StemTest.EqualsTheDefinition") {
  for (const auto& [n, h, w] :
       {std::tuple{1, 1, 1}, {1, 2, 3}, {2, 4, 5}, {2, 6, 7}, {1, 33, 31}, {1, 20, 70}, {2, 36, 66}, {1, 35, 129}}) {
    const unsigned seed = static_cast<unsigned>(h * 1000 + w);
    const Inputs in(n, h, w, seed);
    const DeviceArray<float> residual(in.residual), weight(in.weight), bias(in.bias);
    const auto got =
        result_of<float>(output_count(n, h, w), [&, n = n, h = h, w = w](float* output, kernels::Stream stream) {
          kernels::stem(output, residual.data(), weight.data(), bias.data(), n, h, w, stream);
        });
    expect_close(got, reference(in, n, h, w), 3.0 * kTaps + 1, fmt::format("[{}][{}][{}], seed {}", n, h, w, seed));
  }
}

TEST_CASE_METHOD(StemTest, "StemTest.NotANumberComesThrough") {
  constexpr int h = 12, w = 16;
  Inputs in(1, h, w, 5);
  in.residual[(4 * w + 8) * 3 + 1] = std::numeric_limits<float>::quiet_NaN();  // of convolutions 2 and 4
  const DeviceArray<float> residual(in.residual), weight(in.weight), bias(in.bias);
  const auto got = result_of<float>(output_count(1, h, w), [&](float* output, kernels::Stream stream) {
    kernels::stem(output, residual.data(), weight.data(), bias.data(), 1, h, w, stream);
  });
  const int across = halved(halved(w));
  for (int p = 0; p < halved(halved(h)) * across; ++p) {
    const bool sees = p / across == 1 && p % across == 2;
    CHECK_MESSAGE(std::isnan(got[static_cast<std::size_t>(p * kChannels + 7)]) == sees, "output " << p);
  }
}

template <typename T>
struct StemOfTensorsTest : TensorKernelTest<T> {};

// What tensor cores multiply next is the same, rounded.
TEMPLATE_TEST_CASE_METHOD(StemOfTensorsTest, "StemTest.RoundsToNearest", "", kernels::Half, kernels::Bfloat16,
                          kernels::Tf32) {
  constexpr int n = 2, h = 21, w = 70;
  const Inputs in(n, h, w, 8);
  const DeviceArray<float> residual(in.residual), weight(in.weight), bias(in.bias);
  const auto pass = [&](auto* output, kernels::Stream stream) {
    kernels::stem(output, residual.data(), weight.data(), bias.data(), n, h, w, stream);
  };
  const auto exact = result_of<float>(output_count(n, h, w), pass);
  const auto got = result_of<TestType>(output_count(n, h, w), pass);
  for (std::size_t i = 0; i < exact.size(); ++i)
    QUICK_REQUIRE(got[i].bits == kernels::round_to<TestType>(exact[i]).bits, i);
}

TEST_CASE_METHOD(StemTest, "StemTest.RefusesAnEmptyBatch") {
  CHECK_THROWS_AS(kernels::stem<float>(nullptr, nullptr, nullptr, nullptr, 0, 4, 4, nullptr), Error);
  CHECK_THROWS_AS(kernels::stem<float>(nullptr, nullptr, nullptr, nullptr, 1, 0, 4, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
