// Learning from a teacher: every engine against the reference engine, whose gradients central differences check; and
// images without a label.
#include <fmt/core.h>

#include <cmath>
#include <random>

#include "src/engine/network.h"
#include "src/engine/reference/operations.h"
#include "tests/cases/deviation.h"
#include "tests/cases/engines.h"
#include "tests/cases/random_network.h"
#include "tests/catch.h"

namespace lfm {
namespace {

constexpr cases::NetworkCase kCase{3, 49, 58};

/// What some teacher says of a batch: noise about as large as a fresh network's maps and logits.
struct Said {
  std::vector<float> maps, logits, scale;

  Said(const cases::NetworkCase& c, const Architecture& architecture, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> noise;
    const auto fill = [&](std::vector<float>& values, int count) {
      values.resize(static_cast<std::size_t>(count));
      for (float& value : values) value = noise(generator);
    };
    fill(maps, c.n * kMapChannels * network_shape(architecture, c.h, c.w).maps().area());
    fill(logits, c.n);
    fill(scale, kMapChannels + 1);
    for (float& s : scale) s = 0.3f + std::abs(s);
  }
  Distillation with(bool use_maps, bool use_logits, float weight) const {
    Distillation d{{}, {}, scale, weight};
    if (use_maps) d.maps = maps;
    if (use_logits) d.logits = logits;
    return d;
  }
};

struct Pass {
  TrainingResult result;
  std::vector<float> gradients, grad_maps;
};

Pass run(Engine& engine, const Architecture& architecture, const cases::RandomNetwork& network,
         const Distillation& teacher, float label_weight) {
  TrainingOptions options;
  if (architecture.pooling == Pooling::average) options.rbld = options.rks = false;
  TrainingBatch batch{{network.pixels.data(), kCase.n, kCase.h, kCase.w}, network.labels, teacher};
  engine.load(architecture, network.values);
  Pass pass;
  pass.result = forward_backward(engine, batch, options, {3, 4, 0}, label_weight / kCase.n, GradientMode::overwrite);
  pass.gradients.resize(parameter_table(architecture).trainable_floats);
  engine.training().read_gradients(pass.gradients);
  if (auto maps = engine.training().read(Activation::grad_maps)) pass.grad_maps = std::move(*maps);
  return pass;
}

cases::RandomNetwork network_for(const Architecture& architecture) {
  cases::RandomNetwork network = cases::random_network(kCase, 5);
  network.labels = {kFake, kUnlabelled, kReal};
  network.values.resize(parameter_table(architecture).total_floats);
  return network;
}

TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines_beside_reference(),
                   "DistillationOfEngines.EqualsTheReference") {
  for (const Architecture& architecture : {Architecture{}, Architecture{Pooling::average, 1}}) {
    const auto network = network_for(architecture);
    const Said said(kCase, architecture, 9);
    const ParameterTable table = parameter_table(architecture);
    for (const auto& [maps, logits] : {std::pair{true, true}, {true, false}, {false, true}}) {
      INFO(fmt::format("k {}, maps {}, logits {}", architecture.k, maps, logits));
      const Distillation teacher = said.with(maps, logits, 0.6f / kCase.n);
      const Pass got = run(*tested.make(), architecture, network, teacher, 0.4f);
      const Pass want = run(*make_reference_engine(), architecture, network, teacher, 0.4f);
      CHECK_THAT(got.result.distance_maps, WithinAbs(want.result.distance_maps, 1e-5 * want.result.distance_maps));
      CHECK_THAT(got.result.distance_logits,
                 WithinAbs(want.result.distance_logits, 1e-3 * want.result.distance_logits));
      CHECK((want.result.distance_maps > 0) == maps);
      CHECK((want.result.distance_logits > 0) == logits);
      CHECK_THAT(got.result.loss_a, WithinAbs(want.result.loss_a, 1e-3 * want.result.loss_a));
      if (!got.grad_maps.empty()) {
        CHECK(cases::close_to_largest("maps", got.grad_maps, want.grad_maps, 1e-3));
      }
      for (int id = 0; id < kTrainable; ++id) {
        const auto g = parameter(std::span(got.gradients), table, id),
                   w = parameter(std::span(want.gradients), table, id);
        CHECK(cases::close_to_largest(table[id].name, {g.begin(), g.end()}, {w.begin(), w.end()}, 1e-3));
      }
    }
  }
}

TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines_beside_reference(),
                   "DistillationOfEngines.UnlabelledImagesAddNothingToTheLossOfLabels") {
  const auto engine = tested.make();
  cases::RandomNetwork network = network_for({});
  network.labels = {kUnlabelled, kUnlabelled, kUnlabelled};
  const Pass nothing = run(*engine, {}, network, {}, 1);
  CHECK(nothing.result.loss_a == 0);
  CHECK(nothing.result.loss_b == 0);
  for (const float g : nothing.gradients) QUICK_REQUIRE(g == 0, g);
  CHECK(nothing.result.logit_a.size() == 3u);
}

// A pass without a teacher after one with: nothing of it is left.
TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines_beside_reference(),
                   "DistillationOfEngines.TheNextPassForgetsTheTeacher") {
  const auto engine = tested.make();
  const auto network = network_for({});
  const Pass before = run(*engine, {}, network, {}, 1);
  const Said said(kCase, {}, 9);
  run(*engine, {}, network, said.with(true, true, 1), 1);
  CHECK(run(*engine, {}, network, {}, 1).gradients == before.gradients);
}

TEST_CASE("ReferenceDistillation.GradientsOfMapsAndLogits") {
  constexpr int n = 2, c = 3;
  constexpr double weight = 0.7, step = 1e-6;
  std::mt19937 generator(1);
  std::normal_distribution<double> noise(0, 1.5);
  reference::Maps maps(n, c, 4, 5);
  std::vector<float> teacher(maps.values.size()), scale = {0.5f, 1.0f, 2.0f};
  for (double& value : maps.values) value = noise(generator);
  for (float& value : teacher) value = static_cast<float>(noise(generator));
  reference::Maps gradient(n, c, 4, 5), ignored(n, c, 4, 5);
  reference::map_distance(maps, teacher, scale, weight, gradient);
  for (std::size_t i = 0; i < maps.values.size(); ++i) {
    const auto at = [&](double by) {
      reference::Maps moved = maps;
      moved.values[i] += by;
      return reference::map_distance(moved, teacher, scale, weight, ignored);
    };
    INFO(i);
    REQUIRE_THAT(gradient.values[i], WithinAbs(weight * (at(step) - at(-step)) / (2 * step), 1e-8));
  }

  std::vector<double> logits = {0.3, -4.0, 7.0}, grad_logits = {1, 1, 1}, unused(3);
  const std::vector<float> taught = {0.0f, 1.0f, 6.9f};
  reference::logit_distance(logits, taught, 0.8, weight, grad_logits);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto at = [&](double by) {
      std::vector<double> moved = logits;
      moved[i] += by;
      return reference::logit_distance(moved, taught, 0.8, weight, unused);
    };
    CHECK_THAT_MESSAGE(grad_logits[i], WithinAbs(1 + weight * (at(step) - at(-step)) / (2 * step), 1e-8), i);
  }
}

// The whole network, one directional derivative per parameter along the gradient itself, as
// ReferenceGradient.WholeNetwork.
TEST_CASE("ReferenceDistillation.GradientsOfTheWholeNetwork") {
  const auto network = network_for({});
  const Said said(kCase, {}, 11);
  constexpr float label_weight = 0.3f, weight = 0.7f;
  const auto engine = make_reference_engine();
  const auto pass_at = [&](const std::vector<float>& values) {
    cases::RandomNetwork at = network;
    at.values = values;
    return run(*engine, {}, at, said.with(true, true, weight / kCase.n), label_weight);
  };
  const auto loss = [&](const std::vector<float>& values) {
    const TrainingResult r = pass_at(values).result;
    const double labels = r.loss_a + TrainingOptions{}.alpha * r.loss_b;
    return (label_weight * labels + weight * (r.distance_maps + r.distance_logits)) / kCase.n;
  };
  const std::vector<float> gradients = pass_at(network.values).gradients;
  const ParameterTable table = parameter_table({});
  for (int id = 0; id < kTrainable; ++id) {
    const auto gradient = parameter(std::span<const float>(gradients), table, id);
    double squares = 0;
    for (const float g : gradient) squares += double{g} * g;
    if (squares == 0) continue;  // convolution biases
    const double step = 1e-4 / std::sqrt(squares);
    const auto moved = [&](double by) {
      std::vector<float> at = network.values;
      const auto span = parameter(std::span(at), table, id);
      for (std::size_t i = 0; i < span.size(); ++i) span[i] = static_cast<float>(span[i] + by * gradient[i]);
      return at;
    };
    const auto up = moved(step), down = moved(-step);
    double along = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      along += (double{up[table[id].offset + i]} - down[table[id].offset + i]) * gradient[i];
    }
    CHECK_THAT_MESSAGE((loss(up) - loss(down)) / along, WithinAbs(1.0, 0.01), table[id].name);
  }
}

}  // namespace
}  // namespace lfm
