#include "kernels/head_training.h"

#include <cmath>
#include <tuple>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using HeadTrainingTest = KernelTest;

TEST_CASE_METHOD(HeadTrainingTest, "HeadTrainingTest.LossAndDerivativeAtOrdinaryAndExtremeLogits") {
  const std::vector<float> logits = {0.0f, 0.7f, -0.7f, 3.0f, -5.0f, 17.0f, -30.0f, 1e4f, -1e4f};
  const int n = static_cast<int>(logits.size());
  const DeviceArray<float> on(logits), other(logits.size());
  for (const int label : {0, 1}) {
    const DeviceArray<std::uint8_t> labels(std::vector<std::uint8_t>(logits.size(), static_cast<std::uint8_t>(label)));
    const auto losses = result_of<float>(logits.size(), [&](float* out, kernels::Stream s) {
      kernels::bce_with_logits(out, other.data(), on.data(), labels.data(), 0.25f, n, s);
    });
    const auto grads = result_of<float>(logits.size(), [&](float* out, kernels::Stream s) {
      kernels::bce_with_logits(other.data(), out, on.data(), labels.data(), 0.25f, n, s);
    });
    for (int i = 0; i < n; ++i) {
      const double z = logits[i], towards = label ? -z : z;  // loss = log(1 + e^towards)
      const double loss = std::max(towards, 0.0) + std::log1p(std::exp(-std::abs(z)));
      CHECK_THAT_MESSAGE(losses[i], WithinAbs(loss, 1e-6 * loss), "logit " << z << ", label " << label);
      CHECK_THAT_MESSAGE(grads[i], WithinAbs(0.25 * (1 / (1 + std::exp(-z)) - label), 3e-8),
                         "logit " << z << ", label " << label);
    }
  }
}

TEST_CASE_METHOD(HeadTrainingTest, "HeadTrainingTest.BackwardEqualsTheDefinition") {
  for (const auto& [n, count, outputs] : {std::tuple{1, 1, 1}, {3, 64, 2}, {7, 259, 1}, {2, 259, 2}}) {
    const auto x = uniform(static_cast<std::size_t>(n) * count, 1),
               w = uniform(static_cast<std::size_t>(count) * outputs, 2), g = uniform(static_cast<std::size_t>(n), 3);
    const std::size_t last = static_cast<std::size_t>(outputs) - 1;
    const DeviceArray<float> features(x), weight(w), grad(g), grad_features(x.size());
    for (const bool accumulate : {false, true}) {
      const DeviceArray<float> grad_weight(std::vector<float>(w.size(), 2.0f)),
          grad_bias(std::vector<float>(last + 1, -1.0f));
      device::Stream stream(context());
      kernels::head_backward(grad_features.data(), grad_weight.data(), grad_bias.data(), features.data(), weight.data(),
                             grad.data(), n, count, outputs, accumulate, stream.handle());
      stream.synchronize();
      std::vector<Reference> want_weight(w.size()), want_bias(last + 1);
      if (accumulate) {
        for (Reference& r : want_weight) r.add(2.0);
        for (Reference& r : want_bias) r.add(-1.0);
      }
      for (int i = 0; i < n; ++i) {
        for (std::size_t o = 0; o <= last; ++o) {
          const double sign = o == last ? 1 : -1;  // the logit is the last output less the first
          want_bias[o].add(sign * g[i]);
          for (int f = 0; f < count; ++f) want_weight[o * count + f].add(sign * g[i] * x[i * count + f]);
        }
      }
      expect_close(grad_weight.read(), want_weight, n + 1, "weight");
      expect_close(grad_bias.read(), want_bias, n + 1, "bias");
      const auto got = grad_features.read();
      for (int i = 0; i < n * count; ++i) {
        const int f = i % count;
        QUICK_REQUIRE(got[i] == g[i / count] * (last == 1 ? w[count + f] - w[f] : w[f]), i);
      }
    }
  }
}

TEST_CASE_METHOD(HeadTrainingTest, "HeadTrainingTest.RefusesAnEmptyBatch") {
  CHECK_THROWS_AS(kernels::bce_with_logits(nullptr, nullptr, nullptr, nullptr, 1.0f, 0, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
