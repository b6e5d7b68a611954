// Every engine against the reference engine on small odd images: a fresh network's inference, and one training step with drawn (not
// injected) masks and positions, so that the draws themselves are compared too.

#include <utility>

#include "src/engine/network.h"
#include "tests/cases/cases.h"
#include "tests/cases/deviation.h"
#include "tests/cases/engines.h"
#include "tests/cases/random_network.h"
#include "tests/catch.h"

namespace lfm {
namespace {

class AgainstReference {
 protected:
  explicit AgainstReference(const cases::EngineCase& tested) : engine_(tested.make()) {}

  void random_case(const cases::NetworkCase& c, unsigned seed) {
    cases::RandomNetwork network = cases::random_network(c, seed);
    pixels_ = std::move(network.pixels);
    labels_ = std::move(network.labels);
    values_ = std::move(network.values);
    engine_->load({}, values_);
    reference_->load({}, values_);
  }

  std::unique_ptr<Engine> engine_, reference_ = make_reference_engine();
  ParameterTable table_ = parameter_table({});
  std::vector<std::uint8_t> pixels_, labels_;
  std::vector<float> values_;
};

TEST_CASE_METHOD_FOR_EACH(AgainstReference, cases::engines_beside_reference(), "AgainstReference.Inference") {
  for (std::size_t i = 0; i < cases::kNetworkTests.size(); ++i) {
    const auto& c = cases::kNetworkTests[i];
    INFO(to_string(c));
    random_case(c, static_cast<unsigned>(i));
    const PixelBatch batch{pixels_.data(), c.n, c.h, c.w};
    const std::size_t n = static_cast<std::size_t>(c.n);
    std::vector<float> got(n), got_features(n * 1024), expected(n), expected_features(n * 1024);
    infer(*engine_, {}, batch, got, got_features);
    infer(*reference_, {}, batch, expected, expected_features);
    CHECK(cases::close_relative("logits " + to_string(c), got, expected, 2e-4));
    CHECK(cases::close_relative("features " + to_string(c), got_features, expected_features, 2e-4));
  }
}

TEST_CASE_METHOD_FOR_EACH(AgainstReference, cases::engines_beside_reference(), "AgainstReference.TrainingStepWithDrawnMasks") {
  for (std::size_t i = 0; i < cases::kNetworkTests.size(); ++i) {
    const auto& c = cases::kNetworkTests[i];
    INFO(to_string(c));
    random_case(c, 100 + static_cast<unsigned>(i));
    TrainingOptions options;
    options.rbld_scale = static_cast<RbldScale>(i % 3);
    const TrainingBatch batch{{pixels_.data(), c.n, c.h, c.w}, labels_};
    const DrawKey key{i, 1000 + i, static_cast<int>(7 * i)};
    const float loss_scale = 1.0f / static_cast<float>(c.n);
    const auto got = forward_backward(*engine_, batch, options, key, loss_scale, GradientMode::overwrite);
    const auto expected = forward_backward(*reference_, batch, options, key, loss_scale, GradientMode::overwrite);
    CHECK(cases::close_relative("logit_a " + to_string(c), got.logit_a, expected.logit_a, 2e-4));
    CHECK(cases::close_relative("logit_b " + to_string(c), got.logit_b, expected.logit_b, 2e-4));

    // A second pass in accumulate mode, on the same images with other draws, adds up.
    const DrawKey next{i, 2000 + i, 0};
    forward_backward(*engine_, batch, options, next, loss_scale, GradientMode::accumulate);
    forward_backward(*reference_, batch, options, next, loss_scale, GradientMode::accumulate);
    std::vector<float> got_gradients(table_.trainable_floats), expected_gradients(table_.trainable_floats);
    engine_->training().read_gradients(got_gradients);
    reference_->training().read_gradients(expected_gradients);
    for (int id = 0; id < kTrainable; ++id) {
      const auto g = parameter(std::span<const float>(got_gradients), table_, id);
      const auto e = parameter(std::span<const float>(expected_gradients), table_, id);
      CHECK(cases::close_to_largest(table_[id].name, {g.begin(), g.end()}, {e.begin(), e.end()}, 1e-3));
    }
  }
}

}  // namespace
}  // namespace lfm
