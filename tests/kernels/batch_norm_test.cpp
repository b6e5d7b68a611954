#include "kernels/batch_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using kernels::BatchNorm;
using BatchNormTest = KernelTest;

constexpr float kEps = 1e-5f;

struct Case {
  int n, h, w, c;
  bool pool;
  bool relu = true;
  bool lets_through(float y) const { return !relu || y > 0; }
};

std::size_t positions_of(const Case& c) { return static_cast<std::size_t>(c.n) * c.h * c.w; }
std::size_t windows_of(const Case& c) {
  return static_cast<std::size_t>(c.n) * (c.pool ? (c.h / 2) * (c.w / 2) : c.h * c.w);
}
std::size_t scratch_floats(const Case& c) {
  return kernels::batch_norm_scratch(static_cast<std::int64_t>(positions_of(c)), c.c);
}

// What one thread of the definition does, in double.
struct Inputs {
  Inputs(const Case& shape, unsigned seed)
      : c(shape),
        x(uniform(positions_of(c) * c.c, seed)),
        scale(uniform(static_cast<std::size_t>(c.c), seed + 1, -1.5f,
                      1.5f)),  // negative ones turn a maximum into a minimum
        shift(uniform(static_cast<std::size_t>(c.c), seed + 2)),
        statistics(uniform(static_cast<std::size_t>(2) * c.c, seed + 3)),
        grad(uniform(windows_of(c) * c.c, seed + 4)) {
    for (int i = 0; i < c.c; ++i) statistics[c.c + i] = 1.5f + statistics[c.c + i];  // 1/deviation
    for (std::size_t i = 0; i + c.c < x.size(); i += 7) x[i + c.c] = x[i];           // ties in some windows
  }
  double x_hat(std::size_t at) const {
    const std::size_t channel = at % c.c;
    return (double{x[at]} - statistics[channel]) * statistics[c.c + channel];
  }
  // In float, as the kernel: which of a window's values wins must not hang on the rounding of a tie.
  float y(std::size_t at) const {
    const std::size_t channel = at % c.c;
    return (x[at] - statistics[channel]) * (scale[channel] * statistics[c.c + channel]) + shift[channel];
  }
  // Where the value of a window comes from.
  std::size_t winner(std::size_t window, int channel) const {
    const int side = c.pool ? 2 : 1, out_h = c.h / side, out_w = c.w / side;
    const std::size_t image = window / (out_h * out_w), row = window / out_w % out_h * side,
                      column = window % out_w * side;
    std::size_t best = 0;
    for (int i = 0; i < side * side; ++i) {
      const std::size_t at = (((image * c.h + row + i / side) * c.w) + column + i % side) * c.c + channel;
      if (i == 0 || y(at) > y(best)) best = at;
    }
    return best;
  }

  Case c;
  std::vector<float> x, scale, shift, statistics, grad;
};

template <typename X = float, typename G = X>
struct OnDevice {
  explicit OnDevice(const Inputs& in)
      : x(stored_values<X>(in.x)),
        grad(stored_values<G>(in.grad)),
        scale(in.scale),
        shift(in.shift),
        statistics(in.statistics),
        c(in.c) {}
  BatchNorm<X> norm() const {
    return {x.data(), statistics.data(), scale.data(), shift.data(), c.n, c.h, c.w, c.c, c.pool, c.relu};
  }
  DeviceArray<X> x;
  DeviceArray<G> grad;
  DeviceArray<float> scale, shift, statistics;
  Case c;
};

// One value, less than a slice's 16 rows, an incomplete last slice, several slices; even and odd sides.
constexpr std::array<Case, 7> kCases = {{{1, 2, 2, 64, true},
                                         {2, 3, 5, 64, true},
                                         {3, 1, 7, 128, false},
                                         {2, 5, 4, 64, false},
                                         {1, 17, 9, 128, true},
                                         {3, 15, 13, 64, true},
                                         {2, 11, 27, 64, false}}};
constexpr Case kBeforeAShortcut = {2, 7, 9, 64, false, false};

std::vector<Case> backward_cases() {
  std::vector<Case> all(kCases.begin(), kCases.end());
  all.push_back(kBeforeAShortcut);
  return all;
}

std::string name(const char* what, const Case& c, unsigned seed) {
  return fmt::format("{} of [{}][{}][{}][{}]{}, seed {}", what, c.n, c.h, c.w, c.c,
                     c.pool   ? " pooled"
                     : c.relu ? ""
                              : " without ReLU",
                     seed);
}

void expect_moments(const std::vector<float>& x, std::size_t positions, int c, const std::string& what) {
  const DeviceArray<float> input(x);
  const DeviceArray<float> scratch(kernels::batch_norm_scratch(static_cast<std::int64_t>(positions), c));
  const auto got = result_of<double>(static_cast<std::size_t>(2) * c, [&](double* moments, kernels::Stream stream) {
    kernels::batch_moments(moments, scratch.data(), input.data(), static_cast<std::int64_t>(positions), c, stream);
  });
  double worst_mean = 0, worst_variance = 0;
  for (int channel = 0; channel < c; ++channel) {
    double mean = 0, largest = 0, deviations = 0;
    for (std::size_t p = 0; p < positions; ++p) mean += x[p * c + channel];
    mean /= static_cast<double>(positions);
    for (std::size_t p = 0; p < positions; ++p) {
      deviations += (x[p * c + channel] - mean) * (x[p * c + channel] - mean);
      largest = std::max(largest, std::abs(double{x[p * c + channel]}));
    }
    worst_mean = std::max(worst_mean, std::abs(got[channel] - mean) / largest);
    if (positions > 1) worst_variance = std::max(worst_variance, std::abs(got[c + channel] - deviations) / deviations);
  }
  std::printf("    %s: mean within %.1e of the largest value, variance within %.1e of itself\n", what.c_str(),
              worst_mean, worst_variance);
  CHECK_MESSAGE(worst_mean <= 3e-7, what);
  CHECK_MESSAGE(worst_variance <= 1e-4, what);
}

// One position; fewer than a slice's rows; as many; two slices; some; more than the threads that merge them; more than
// these look at at a time.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.MomentsEqualTheDefinition") {
  for (const auto& [positions, c] :
       {std::pair{1, 64}, {5, 64}, {16, 128}, {257, 64}, {1031, 128}, {8500, 64}, {66000, 64}}) {
    expect_moments(uniform(static_cast<std::size_t>(positions) * c, static_cast<unsigned>(positions)),
                   static_cast<std::size_t>(positions), c, fmt::format("{} positions of {}", positions, c));
  }
}

// The deviation is a thousandth of the mean; the sum of squares minus the squared sum would leave no correct digit of
// the variance.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.MomentsSurviveAMeanFarFromZero") {
  auto x = uniform(700 * 64, 5);
  for (float& v : x) v = 1000.0f + v;
  expect_moments(x, 700, 64, "values around 1000");
}

TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.StatisticsFollowPyTorch") {
  const std::vector<double> moments = {3.0, -2.0, 40.0, 0.0};  // two channels of 11 values
  const DeviceArray<double> input(moments);
  const DeviceArray<float> running_mean(std::vector<float>{1.0f, 0.0f}), running_var(std::vector<float>{1.0f, 2.0f});
  DeviceArray<float> statistics(4);
  device::Stream stream(context());
  kernels::batch_statistics(statistics.data(), running_mean.data(), running_var.data(), input.data(), 11.0, 2, kEps,
                            0.1f, nullptr, stream.handle());
  stream.synchronize();
  const auto got = statistics.read();
  CHECK_THAT(got[0], WithinULP(3.0f, 4));
  CHECK_THAT(got[1], WithinULP(-2.0f, 4));
  CHECK_THAT(got[2], WithinULP(static_cast<float>(1 / std::sqrt(40.0 / 11 + 1e-5)), 4));
  CHECK_THAT(got[3], WithinULP(static_cast<float>(1 / std::sqrt(1e-5)), 4));
  CHECK_THAT(running_mean.read()[0], WithinULP(1.2f, 4));
  CHECK_THAT(running_mean.read()[1], WithinULP(-0.2f, 4));
  CHECK_THAT(running_var.read()[0], WithinULP(1.3f, 4));  // unbiased: 40/10
  CHECK_THAT(running_var.read()[1], WithinULP(1.8f, 4));
}

// Without what was left out of the values, batch norm sees the same, and the running mean is of the whole ones.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.RunningMeanHasTheBiasThatXIsStoredWithout") {
  const DeviceArray<double> moments(std::vector<double>{3.0, 40.0});
  const DeviceArray<float> running_mean(std::vector<float>{1.0f}), running_var(std::vector<float>{1.0f}),
      bias(std::vector<float>{0.5f});
  DeviceArray<float> statistics(2);
  device::Stream stream(context());
  kernels::batch_statistics(statistics.data(), running_mean.data(), running_var.data(), moments.data(), 11.0, 1, kEps,
                            0.1f, bias.data(), stream.handle());
  stream.synchronize();
  CHECK_THAT(statistics.read()[0], WithinULP(3.0f, 4));
  CHECK_THAT(running_mean.read()[0], WithinULP(1.25f, 4));
  CHECK_THAT(running_var.read()[0], WithinULP(1.3f, 4));
}

// Three values on one process, one on another, far from zero: as if one process had all four.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.MomentsOfTwoProcessesMakeThoseOfTheWholeBatch") {
  const double values[] = {1e6 + 1, 1e6 + 2, 1e6 + 6, 1e6 + 11};
  const double counts[] = {3, 1};
  const DeviceArray<double> moments[] = {DeviceArray<double>(std::vector<double>{1e6 + 3, 14}),
                                         DeviceArray<double>(std::vector<double>{1e6 + 11, 0})};
  const DeviceArray<double> totals[] = {DeviceArray<double>(1), DeviceArray<double>(1)};
  device::Stream stream(context());
  for (int p = 0; p < 2; ++p)
    kernels::moments_to_totals(totals[p].data(), moments[p].data(), counts[p], 1, stream.handle());
  stream.synchronize();
  const DeviceArray<double> summed(std::vector<double>{totals[0].read()[0] + totals[1].read()[0]});
  for (int p = 0; p < 2; ++p)
    kernels::recentre_moments(moments[p].data(), summed.data(), counts[p], 4, 1, stream.handle());
  stream.synchronize();
  const auto one = moments[0].read(), other = moments[1].read();
  CHECK(one[0] == 1e6 + 5);
  CHECK(other[0] == 1e6 + 5);
  double deviations = 0;
  for (const double v : values) deviations += (v - 1e6 - 5) * (v - 1e6 - 5);
  CHECK(one[1] + other[1] == deviations);
}

TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.ForwardEqualsTheDefinition") {
  for (const Case& c : kCases) {
    const unsigned seed = static_cast<unsigned>(c.h * 100 + c.w);
    const Inputs in(c, seed);
    const OnDevice<> on(in);
    const auto got = result_of<float>(windows_of(c) * c.c, [&](float* output, kernels::Stream stream) {
      kernels::batch_norm_relu(output, on.norm(), stream);
    });
    std::vector<Reference> want;
    for (std::size_t window = 0; window < windows_of(c); ++window) {
      for (int channel = 0; channel < c.c; ++channel) {
        const std::size_t at = in.winner(window, channel);
        const double product = in.x_hat(at) * in.scale[channel],
                     magnitude = std::abs(product) + std::abs(in.shift[channel]);
        want.push_back({std::max(product + in.shift[channel], 0.0), magnitude});
      }
    }
    expect_close(got, want, 4, name("forward", c, seed));
  }
}

// The sums and both gradients that come from them, in overwrite and accumulate mode.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.BackwardSumsEqualTheDefinition") {
  for (const Case& c : backward_cases()) {
    const unsigned seed = static_cast<unsigned>(c.h * 100 + c.w + 1);
    const Inputs in(c, seed);
    const OnDevice<> on(in);
    const DeviceArray<float> scratch(scratch_floats(c));
    std::vector<Reference> want(static_cast<std::size_t>(2) * c.c);
    for (std::size_t window = 0; window < windows_of(c); ++window) {
      for (int channel = 0; channel < c.c; ++channel) {
        const std::size_t at = in.winner(window, channel);
        if (!c.lets_through(in.y(at))) continue;
        want[channel].add(in.grad[window * c.c + channel]);
        want[c.c + channel].add(in.grad[window * c.c + channel] * in.x_hat(at));
      }
    }
    const double depth = static_cast<double>(windows_of(c)) + 4;
    const DeviceArray<float> other(static_cast<std::size_t>(c.c));
    const auto sums = result_of<double>(want.size(), [&](double* out, kernels::Stream stream) {
      kernels::batch_norm_relu_backward_sums(out, other.data(), other.data(), scratch.data(), on.norm(), on.grad.data(),
                                             false, stream);
    });
    expect_close(std::vector<float>(sums.begin(), sums.end()), want, depth, name("sums", c, seed));

    const DeviceArray<double> unused(want.size());
    for (const bool accumulate : {false, true}) {
      const DeviceArray<float> grad_scale(std::vector<float>(static_cast<std::size_t>(c.c), 2.0f)),
          grad_shift(std::vector<float>(static_cast<std::size_t>(c.c), -3.0f));
      device::Stream stream(context());
      kernels::batch_norm_relu_backward_sums(unused.data(), grad_scale.data(), grad_shift.data(), scratch.data(),
                                             on.norm(), on.grad.data(), accumulate, stream.handle());
      stream.synchronize();
      for (int channel = 0; channel < c.c; ++channel) {
        REQUIRE(grad_shift.read()[channel] == static_cast<float>(sums[channel] + (accumulate ? -3.0 : 0.0)));
        REQUIRE(grad_scale.read()[channel] == static_cast<float>(sums[c.c + channel] + (accumulate ? 2.0 : 0.0)));
      }
    }
  }
}

TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.BackwardEqualsTheDefinition") {
  for (const Case& c : backward_cases()) {
    const unsigned seed = static_cast<unsigned>(c.h * 100 + c.w + 2);
    const Inputs in(c, seed);
    const OnDevice<> on(in);
    const DeviceArray<float> scratch(static_cast<std::size_t>(2) * c.c);
    std::vector<double> sums;
    for (const float v : uniform(static_cast<std::size_t>(2) * c.c, seed + 9)) sums.push_back(10.0 * v);
    const DeviceArray<double> sums_on(sums);
    const double count = 2.0 * static_cast<double>(positions_of(c));  // two processes

    std::vector<float> through(in.x.size());
    for (std::size_t window = 0; window < windows_of(c); ++window) {
      for (int channel = 0; channel < c.c; ++channel) {
        const std::size_t at = in.winner(window, channel);
        if (c.lets_through(in.y(at))) through[at] = in.grad[window * c.c + channel];
      }
    }
    for (const int border : {1, 0}) {
      const int ph = c.h + 2 * border, pw = c.w + 2 * border;
      std::vector<Reference> want(static_cast<std::size_t>(c.n) * ph * pw * c.c);
      for (std::size_t at = 0; at < in.x.size(); ++at) {
        const std::size_t channel = at % c.c, position = at / c.c, image = position / (c.h * c.w);
        const std::size_t row = position / c.w % c.h + border, column = position % c.w + border;
        const double factor = double{in.scale[channel]} * in.statistics[c.c + channel];
        Reference& out = want[((image * ph + row) * pw + column) * c.c + channel];
        out.add(factor * through[at]);
        out.add(-factor * sums[channel] / count);
        out.add(-factor * in.x_hat(at) * sums[c.c + channel] / count);
      }
      const auto got = result_of<float>(want.size(), [&](float* grad_x, kernels::Stream stream) {
        kernels::batch_norm_relu_backward(grad_x, scratch.data(), on.norm(), on.grad.data(), sums_on.data(), count,
                                          border, stream);
      });
      expect_close(got, want, 6, name(border ? "backward, bordered" : "backward", c, seed));
      if (border) continue;
      device::Stream stream(context());  // over x itself
      kernels::batch_norm_relu_backward(on.x.data(), scratch.data(), on.norm(), on.grad.data(), sums_on.data(), count,
                                        0, stream.handle());
      stream.synchronize();
      CHECK_MESSAGE(on.x.read() == got, "in place");
    }
  }
}

// Rounded to what tensor cores multiply, from what is stored beside it: the bits of the FP32 kernels' results of the
// same values, to nearest. Sums are the same, and so is what a gradient reaches.
template <typename T, typename X>
void expect_rounded(const Case& c, unsigned seed) {
  using G = kernels::Stored<T>;
  Inputs in(c, seed);
  in.x = floats_of(stored_values<X>(in.x));
  in.grad = floats_of(stored_values<G>(in.grad));
  const OnDevice<float> exact(in);
  const OnDevice<X, G> on(in);
  const auto expect_same = [&](const auto& got, const std::vector<float>& values, const char* what) {
    using To = typename std::decay_t<decltype(got)>::value_type;
    REQUIRE(got.size() == values.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto want = stored_values<To>({values[i]})[0];
      QUICK_REQUIRE(std::memcmp(&got[i], &want, sizeof want) == 0, name(what, c, seed) << " at " << i);
    }
  };
  const auto forward = [](const auto& from) {
    return [&](auto* output, kernels::Stream stream) { kernels::batch_norm_relu(output, from.norm(), stream); };
  };
  expect_same(result_of<T>(windows_of(c) * c.c, forward(on)), result_of<float>(windows_of(c) * c.c, forward(exact)),
              "forward, rounded");

  const DeviceArray<float> scratch(scratch_floats(c)), unused(static_cast<std::size_t>(c.c));
  const auto moments = [&](const auto& from) {
    return result_of<double>(static_cast<std::size_t>(2) * c.c, [&](double* out, kernels::Stream stream) {
      kernels::batch_moments(out, scratch.data(), from.x.data(), static_cast<std::int64_t>(positions_of(c)), c.c,
                             stream);
    });
  };
  CHECK_MESSAGE(moments(on) == moments(exact), name("moments", c, seed));
  const auto sums_of = [&](const auto& from) {
    return result_of<double>(static_cast<std::size_t>(2) * c.c, [&](double* out, kernels::Stream stream) {
      kernels::batch_norm_relu_backward_sums(out, unused.data(), unused.data(), scratch.data(), from.norm(),
                                             from.grad.data(), false, stream);
    });
  };
  CHECK_MESSAGE(sums_of(on) == sums_of(exact), name("sums", c, seed));

  const DeviceArray<double> sums(std::vector<double>(static_cast<std::size_t>(2) * c.c, 3.0));
  const std::size_t count = static_cast<std::size_t>(c.n) * (c.h + 2) * (c.w + 2) * c.c;
  const auto backward = [&](const auto& from, int border) {
    return [&, border](auto* grad_x, kernels::Stream stream) {
      kernels::batch_norm_relu_backward(grad_x, scratch.data(), from.norm(), from.grad.data(), sums.data(), 100, border,
                                        stream);
    };
  };
  expect_same(result_of<T>(count, backward(on, 1)), result_of<float>(count, backward(exact, 1)), "backward, rounded");
  if constexpr (std::is_same_v<X, G>) {
    const auto in_place = result_of<float>(in.x.size(), backward(exact, 0));
    device::Stream stream(context());
    backward(on, 0)(on.x.data(), stream.handle());
    stream.synchronize();
    expect_same(on.x.read(), in_place, "in place");
  }
}

template <typename T>
using BatchNormRoundingTest = TensorKernelTest<T>;

TEMPLATE_TEST_CASE_METHOD(BatchNormRoundingTest, "BatchNormRoundingTest.RoundsForTensorCores", "", kernels::Bfloat16,
                          kernels::Tf32) {
  for (const Case& c : kCases) {
    expect_rounded<TestType, kernels::Stored<TestType>>(c, 5);
    expect_rounded<TestType, float>(c, 6);  // the first block's
  }
}

// A run that diverges must not look healthy.
TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.NaNStays") {
  Inputs in({1, 4, 4, 64, true}, 1);
  in.x[5] = std::nanf("");
  const OnDevice<> on(in);
  const DeviceArray<double> moments(128);
  const DeviceArray<float> scratch(scratch_floats(in.c)), output(4 * 64);
  device::Stream stream(context());
  kernels::batch_moments(moments.data(), scratch.data(), on.x.data(), 16, 64, stream.handle());
  kernels::batch_norm_relu(output.data(), on.norm(), stream.handle());
  stream.synchronize();
  CHECK(std::isnan(moments.read()[5]));
  CHECK(std::isnan(output.read()[5]));
}

TEST_CASE_METHOD(BatchNormTest, "BatchNormTest.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(kernels::batch_moments<float>(nullptr, nullptr, nullptr, 4, 32, nullptr), Error);
  CHECK_THROWS_AS(kernels::batch_moments<float>(nullptr, nullptr, nullptr, 0, 64, nullptr), Error);
  CHECK_THROWS_AS(kernels::batch_statistics(nullptr, nullptr, nullptr, nullptr, 1.0, 64, kEps, 0.1f, nullptr, nullptr),
                  Error);
  CHECK_THROWS_AS((kernels::batch_norm_relu<float, float>(
                      nullptr, {nullptr, nullptr, nullptr, nullptr, 1, 1, 4, 64, true}, nullptr)),
                  Error);
  CHECK_THROWS_AS((kernels::batch_norm_relu_backward<kernels::Tf32, float>(
                      nullptr, nullptr, {nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 64, false, false}, nullptr,
                      nullptr, 16, 0, nullptr)),
                  Error);
}

}  // namespace
}  // namespace lfm::test
