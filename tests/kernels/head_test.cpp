#include "kernels/head.h"

#include <tuple>

#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using HeadTest = KernelTest;

TEST_CASE_METHOD(HeadTest, "HeadTest.EqualsTheDefinition") {
  struct Size {
    int n, count, outputs;
  };
  for (const Size& size : {Size{1, 1, 1}, {3, 33, 1}, {5, 64, 2}, {9, 1024, 1}, {2, 37, 2}}) {
    const int n = size.n, count = size.count, outputs = size.outputs;
    const unsigned seed = static_cast<unsigned>(count);
    const auto x = uniform(static_cast<std::size_t>(n) * count, seed),
               w = uniform(static_cast<std::size_t>(count) * outputs, seed + 1);
    const std::vector<float> b = {0.75f, -0.5f};
    const DeviceArray<float> features(x), weight(w), bias(b);
    const auto got = result_of<float>(static_cast<std::size_t>(n), [&](float* logits, kernels::Stream stream) {
      kernels::head(logits, features.data(), weight.data(), bias.data(), n, count, outputs, stream);
    });
    std::vector<Reference> want(got.size());
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < count; ++j) {
        want[i].add(double{x[i * count + j]} * w[(outputs - 1) * count + j]);
        if (outputs == 2) want[i].add(-double{x[i * count + j]} * w[j]);
      }
      want[i].add(b[static_cast<std::size_t>(outputs) - 1]);
      if (outputs == 2) want[i].add(-b[0]);
    }
    expect_close(got, want, count + 1, fmt::format("head {}x{}, {} outputs, seed {}", n, count, outputs, seed));
  }
}

}  // namespace
}  // namespace lfm::test
