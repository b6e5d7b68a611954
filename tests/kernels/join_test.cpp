#include "kernels/join.h"

#include <algorithm>
#include <cmath>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using JoinTest = KernelTest;

constexpr int kImages = 2, kHeight = 3, kWidth = 5, kChannels = 64;
constexpr std::size_t kCount = static_cast<std::size_t>(kImages) * kHeight * kWidth * kChannels;

/// A convolution's output and its batch norm.
struct Normed {
  explicit Normed(unsigned seed)
      : x(uniform(kCount, seed)),
        scale(uniform(kChannels, seed + 1, -1.5f, 1.5f)),
        shift(uniform(kChannels, seed + 2)),
        statistics(uniform(2 * kChannels, seed + 3)),
        x_on(x),
        scale_on(scale),
        shift_on(shift),
        statistics_on(make_positive(statistics)) {}
  static const std::vector<float>& make_positive(std::vector<float>& values) {
    for (std::size_t i = kChannels; i < values.size(); ++i) values[i] += 1.5f;  // 1/deviation
    return values;
  }
  kernels::BatchNorm<float> norm() const {
    return {x_on.data(), statistics_on.data(), scale_on.data(), shift_on.data(), kImages, kHeight, kWidth, kChannels};
  }
  void add_to(Reference& sum, std::size_t at) const {
    const std::size_t c = at % kChannels;
    sum.add((double{x[at]} - statistics[c]) * statistics[kChannels + c] * scale[c]);
    sum.add(shift[c]);
  }
  std::vector<float> x, scale, shift, statistics;
  DeviceArray<float> x_on, scale_on, shift_on, statistics_on;
};

TEST_CASE_METHOD(JoinTest, "JoinTest.EqualsTheDefinition") {
  const Normed own(1), other(11);
  const auto shortcut = uniform(kCount, 21);
  const DeviceArray<float> shortcut_on(shortcut);
  for (const bool normed : {false, true}) {
    std::vector<Reference> want(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      own.add_to(want[i], i);
      normed ? other.add_to(want[i], i) : want[i].add(shortcut[i]);
      want[i].value = std::max(want[i].value, 0.0);
    }
    const auto got = result_of<float>(kCount, [&](float* output, kernels::Stream stream) {
      normed ? kernels::join(output, own.norm(), other.norm(), stream)
             : kernels::join(output, own.norm(), shortcut_on.data(), stream);
    });
    expect_close(got, want, 10, normed ? "a normalised shortcut" : "a shortcut");
  }
}

TEST_CASE_METHOD(JoinTest, "JoinTest.BackwardStopsWhereReluDid") {
  auto output = uniform(kCount, 3);
  for (float& v : output) v = std::max(v, 0.0f);
  output[7] = std::nanf("");
  const auto grad = uniform(kCount, 4);
  const DeviceArray<float> output_on(output), grad_on(grad);
  device::Stream stream(context());
  kernels::join_backward(grad_on.data(), output_on.data(), kCount, stream.handle());
  stream.synchronize();
  const auto got = grad_on.read();
  for (std::size_t i = 0; i < kCount; ++i) QUICK_REQUIRE(got[i] == (output[i] > 0 ? grad[i] : 0.0f), i);
}

// A run that diverges must not look healthy.
TEST_CASE_METHOD(JoinTest, "JoinTest.NaNStays") {
  const Normed own(1);
  auto shortcut = uniform(kCount, 21);
  shortcut[9] = std::nanf("");
  const DeviceArray<float> shortcut_on(shortcut), output(kCount);
  device::Stream stream(context());
  kernels::join(output.data(), own.norm(), shortcut_on.data(), stream.handle());
  stream.synchronize();
  CHECK(std::isnan(output.read()[9]));
}

TEST_CASE_METHOD(JoinTest, "JoinTest.RefusesWhatDoesNotFit") {
  const Normed own(1), other(2);
  kernels::BatchNorm<float> smaller = other.norm();
  smaller.h = 2;
  CHECK_THROWS_AS(kernels::join(nullptr, own.norm(), smaller, nullptr), Error);
  CHECK_THROWS_AS(kernels::join_backward(nullptr, nullptr, 6, nullptr), Error);
  CHECK_THROWS_AS(kernels::join_backward(nullptr, nullptr, 0, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
