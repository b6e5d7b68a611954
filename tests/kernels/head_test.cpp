#include "kernels/head.h"

#include <tuple>

#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using HeadTest = KernelTest;

TEST_CASE_METHOD(HeadTest, "HeadTest.EqualsTheDefinition") {
  struct Size {
    int n, count;
  };
  for (const Size& size : {Size{1, 1}, {3, 33}, {5, 64}, {9, 1024}}) {
    const int n = size.n, count = size.count;
    const unsigned seed = static_cast<unsigned>(count);
    const auto x = uniform(static_cast<std::size_t>(n) * count, seed),
               w = uniform(static_cast<std::size_t>(count), seed + 1);
    const std::vector<float> b = {0.75f};
    const DeviceArray<float> features(x), weight(w), bias(b);
    const auto got = result_of<float>(static_cast<std::size_t>(n), [&](float* logits, kernels::Stream stream) {
      kernels::head(logits, features.data(), weight.data(), bias.data(), n, count, stream);
    });
    std::vector<Reference> want(got.size());
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < count; ++j) want[i].add(double{x[i * count + j]} * w[j]);
      want[i].add(b[0]);
    }
    expect_close(got, want, count + 1, fmt::format("head {}x{}, seed {}", n, count, seed));
  }
}

}  // namespace
}  // namespace lfm::test
