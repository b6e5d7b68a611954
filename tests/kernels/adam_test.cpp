#include "kernels/adam.h"

#include <cmath>
#include <numeric>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using kernels::AdamStep;
using AdamTest = KernelTest;

// Three steps of torch.optim.Adam in double, less than a block and several with a tail.
TEST_CASE_METHOD(AdamTest, "AdamTest.EqualsTheDefinition") {
  for (const std::size_t count : {std::size_t{4}, std::size_t{1024}, std::size_t{2500}}) {
    for (const float decay : {0.0f, 0.01f}) {
      const auto start = uniform(count, 1);
      std::vector<double> p(start.begin(), start.end()), m(count), v(count);
      const DeviceArray<float> parameters(start), m_on(std::vector<float>(count, 0.0f)),
          v_on(std::vector<float>(count, 0.0f));
      const DeviceArray<double> partials(static_cast<std::size_t>(kernels::adam_norm_partials(count)));
      for (int step = 1; step <= 3; ++step) {
        const auto g = uniform(count, static_cast<unsigned>(10 + step), -0.01f, 0.01f);
        const DeviceArray<float> gradients(g);
        const double beta1 = 0.9f, beta2 = 0.999f, correction1 = 1 - std::pow(beta1, step),
                     correction2 = 1 - std::pow(beta2, step);
        const AdamStep s{
            1e-3f, 0.9f, 0.999f, 1e-8f, decay, static_cast<float>(correction1), static_cast<float>(correction2)};
        device::Stream stream(context());
        kernels::adam(parameters.data(), m_on.data(), v_on.data(), partials.data(), gradients.data(), s, count,
                      stream.handle());
        stream.synchronize();
        double squares = 0;
        for (std::size_t i = 0; i < count; ++i) {
          squares += double{g[i]} * g[i];
          const double with_decay = g[i] + decay * p[i];
          m[i] = beta1 * m[i] + (1 - beta1) * with_decay;
          v[i] = beta2 * v[i] + (1 - beta2) * with_decay * with_decay;
          p[i] -= 1e-3 * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + 1e-8);
        }
        const auto sums = partials.read();
        CHECK_THAT(std::accumulate(sums.begin(), sums.end(), 0.0), WithinAbs(squares, 1e-12 * squares));
      }
      const auto got = parameters.read(), got_m = m_on.read(), got_v = v_on.read();
      for (std::size_t i = 0; i < count; ++i) {
        // A ten-thousandth of what three steps may move.
        QUICK_REQUIRE(std::abs(got[i] - p[i]) <= 3e-7, "parameter " << i << ", decay " << decay);
        QUICK_REQUIRE(std::abs(got_m[i] - m[i]) <= 1e-8, "first moment " << i << ", decay " << decay);
        QUICK_REQUIRE(std::abs(got_v[i] - v[i]) <= 1e-6 * v[i], "second moment " << i << ", decay " << decay);
      }
    }
  }
}

TEST_CASE_METHOD(AdamTest, "AdamTest.IsTheSameInEveryOrder") {
  constexpr std::size_t count = 1500;
  const auto g = uniform(count, 5);
  const DeviceArray<float> gradients(g), parameters(g), m(std::vector<float>(count, 0.0f)),
      v(std::vector<float>(count, 0.0f));
  result_of<double>(static_cast<std::size_t>(kernels::adam_norm_partials(count)),
                    [&](double* partials, kernels::Stream stream) {
                      kernels::adam(parameters.data(), m.data(), v.data(), partials, gradients.data(),
                                    {1e-3f, 0.9f, 0.999f, 1e-8f, 0, 0.1f, 0.001f}, count, stream);
                    });
}

TEST_CASE_METHOD(AdamTest, "AdamTest.RefusesOddCounts") {
  CHECK_THROWS_AS(kernels::adam(nullptr, nullptr, nullptr, nullptr, nullptr, {}, 6, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
