// Every backward operation of the reference engine against central differences of its forward, in double precision:
// the derivative of  L = sum of weight_i * output_i  with fixed random weights.

#include <cmath>
#include <functional>
#include <random>

#include "src/engine/network.h"
#include "src/engine/reference/operations.h"
#include "tests/catch.h"

namespace lfm {
namespace {

using reference::Maps;

constexpr double kStep = 1e-5;
constexpr double kLimit =
    2e-8;  // of max(1, |derivative|): the step's square times a third derivative, and rounding over the step

std::vector<double> random_values(std::size_t count, unsigned seed, double scale = 1.0) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  std::vector<double> values(count);
  for (double& value : values) value = normal(generator);
  return values;
}

Maps random_maps(int n, int c, int h, int w, unsigned seed) {
  Maps maps(n, c, h, w);
  maps.values = random_values(maps.values.size(), seed);
  return maps;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Checks gradient[i] = dL/dx[i] for every i, where loss() reads x.
void expect_gradient(const char* what, std::vector<double>& x, const std::function<double()>& loss,
                     const std::vector<double>& gradient) {
  REQUIRE_MESSAGE(x.size() == gradient.size(), what);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double saved = x[i];
    x[i] = saved + kStep;
    const double above = loss();
    x[i] = saved - kStep;
    const double below = loss();
    x[i] = saved;
    const double difference = (above - below) / (2 * kStep);
    INFO(what << " [" << i << "]");
    REQUIRE_THAT(gradient[i], WithinAbs(difference, kLimit * std::max(1.0, std::abs(difference))));
  }
}

TEST_CASE("ReferenceGradient.Conv2x2") {
  Maps x = random_maps(2, 3, 4, 5, 1);
  std::vector<double> weight = random_values(2 * 3 * 4, 2);
  const std::vector<double> bias = random_values(2, 3);
  Maps grad_y(2, 2, 3, 4);
  grad_y.values = random_values(grad_y.values.size(), 4);
  const auto loss = [&] { return dot(reference::conv2x2(x, weight, bias).values, grad_y.values); };

  std::vector<double> grad_weight(weight.size());
  reference::conv2x2_backward_weight(x, grad_y, grad_weight);
  expect_gradient("weight", weight, loss, grad_weight);
  expect_gradient("input", x.values, loss, reference::conv2x2_backward_input(grad_y, weight, x.c).values);
}

TEST_CASE("ReferenceGradient.Projection") {
  Maps x = random_maps(2, 5, 2, 3, 5);
  std::vector<double> weight = random_values(4 * 5, 6);
  const Maps grad_y = random_maps(2, 4, 2, 3, 7);
  const auto loss = [&] { return dot(reference::project(x, weight).values, grad_y.values); };

  std::vector<double> grad_weight(weight.size());
  reference::project_backward_weight(x, grad_y, grad_weight);
  expect_gradient("weight", weight, loss, grad_weight);
  expect_gradient("input", x.values, loss, reference::project_backward_input(grad_y, weight, x.c).values);
}

TEST_CASE("ReferenceGradient.BatchNormThroughItsStatistics") {
  Maps x = random_maps(3, 2, 2, 3, 8);
  std::vector<double> scale = random_values(2, 9), shift = random_values(2, 10);
  const Maps grad_y = random_maps(3, 2, 2, 3, 11);
  const auto loss = [&] {
    const reference::BatchStatistics s = reference::batch_statistics(x);
    return dot(reference::batch_norm(x, s.mean, s.variance, scale, shift).values, grad_y.values);
  };

  std::vector<double> grad_scale(2), grad_shift(2);
  const Maps grad_x =
      reference::batch_norm_backward(x, reference::batch_statistics(x), scale, grad_y, grad_scale, grad_shift);
  expect_gradient("input", x.values, loss, grad_x.values);
  expect_gradient("scale", scale, loss, grad_scale);
  expect_gradient("shift", shift, loss, grad_shift);
}

TEST_CASE("ReferenceGradient.ReluAndMaxPool") {
  Maps x = random_maps(2, 2, 5, 7, 12);  // odd: the last row and column are not pooled
  const Maps grad_y = random_maps(2, 2, 2, 3, 13);
  const auto loss = [&] { return dot(reference::max_pool2x2(reference::relu(x)).values, grad_y.values); };
  const Maps grad_relu = reference::max_pool2x2_backward(reference::relu(x), grad_y);
  expect_gradient("input", x.values, loss, reference::relu_backward(x, grad_relu).values);
}

TEST_CASE("ReferenceGradient.TopkWithRbldAndRandomPositions") {
  constexpr int n = 2, c = 3, k = 4, area = 20;
  Maps maps = random_maps(n, c, 4, 5, 14);
  TrainingOptions options;
  options.rbld_scale = RbldScale::rank;
  const DrawKey key{7, 3, 0};
  const std::vector<double> factors =
      reference::rbld_factors(options, k, reference::draw_rbld_keep(options, key, n, c, k));
  const std::vector<std::int32_t> positions = reference::draw_rks_positions(key, n, c, k, area);
  const std::vector<double> grad_topk = random_values(n * c * k, 15), grad_rks = random_values(n * c * k, 16);
  const auto loss = [&] {
    const auto topk = reference::select_topk(maps, k), rks = reference::select_at(maps, positions, k);
    double sum = dot(rks.value, grad_rks);
    for (std::size_t i = 0; i < factors.size(); ++i) sum += topk.value[i] * factors[i] * grad_topk[i];
    return sum;
  };

  std::vector<double> grad_selected = grad_topk;
  for (std::size_t i = 0; i < factors.size(); ++i) grad_selected[i] *= factors[i];
  Maps grad_maps(n, c, 4, 5);
  reference::select_backward(reference::select_topk(maps, k), grad_selected, grad_maps);
  reference::select_backward(reference::select_at(maps, positions, k), grad_rks, grad_maps);
  expect_gradient("maps", maps.values, loss, grad_maps.values);
}

TEST_CASE("ReferenceGradient.AveragePool") {
  Maps maps = random_maps(2, 3, 2, 3, 17);
  const std::vector<double> grad = random_values(6, 18);
  Maps grad_maps(2, 3, 2, 3);
  reference::average_pool_backward(grad, grad_maps);
  expect_gradient(
      "maps", maps.values, [&] { return dot(reference::average_pool(maps), grad); }, grad_maps.values);
}

TEST_CASE("ReferenceGradient.HeadAndLoss") {
  constexpr std::size_t n = 3, features = 5;
  std::vector<double> x = random_values(n * features, 19), weight = random_values(features, 20), bias = {0.3};
  const std::vector<double> labels = {1, 0, 1};
  const auto loss = [&] {
    double sum = 0;
    const auto logits = reference::head(x, weight, bias[0]);
    for (std::size_t i = 0; i < n; ++i) sum += reference::bce_with_logits(logits[i], labels[i]);
    return sum;
  };

  std::vector<double> grad_logits(n), grad_weight(features), grad_bias(1);
  const auto logits = reference::head(x, weight, bias[0]);
  for (std::size_t i = 0; i < n; ++i) grad_logits[i] = reference::bce_with_logits_derivative(logits[i], labels[i]);
  const auto grad_x = reference::head_backward(x, weight, grad_logits, grad_weight, grad_bias[0]);
  expect_gradient("input", x, loss, grad_x);
  expect_gradient("weight", weight, loss, grad_weight);
  expect_gradient("bias", bias, loss, grad_bias);
}

TEST_CASE("ReferenceLoss.IsFiniteAtExtremeLogits") {
  CHECK(reference::bce_with_logits(1e4, 1) == 0);
  CHECK(reference::bce_with_logits(1e4, 0) == 1e4);
  CHECK(reference::bce_with_logits(-1e4, 1) == 1e4);
  CHECK(reference::bce_with_logits_derivative(-1e4, 1) == -1);
  CHECK(reference::bce_with_logits_derivative(1e4, 1) == 0);
}

// The whole network, wired as network.cpp wires it: one directional derivative per parameter, along the gradient
// itself, whose value must be the gradient's squared length.
TEST_CASE("ReferenceGradient.WholeNetwork") {
  constexpr int n = 3, side = 48;
  std::mt19937 generator(21);
  std::vector<std::uint8_t> pixels(std::size_t{n} * side * side * 3);
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
  const std::vector<std::uint8_t> labels = {1, 0, 1};
  const ParameterTable table = parameter_table({});
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < kParameters; ++id) {
    const auto span = parameter(std::span(values), table, id);
    const int fan_in = table[id].fan_in;
    const auto noise =
        random_values(span.size(), 22 + static_cast<unsigned>(id), fan_in ? std::sqrt(2.0 / fan_in) : 0.1);
    for (std::size_t i = 0; i < span.size(); ++i) span[i] = static_cast<float>(noise[i]) + (fan_in ? 0.0f : 1.0f);
  }
  TrainingOptions options;
  options.alpha = 0.7f;
  const auto engine = make_reference_engine();
  const auto loss = [&](const std::vector<float>& at) {
    engine->load({}, at);
    const auto result = forward_backward(*engine, {{pixels.data(), n, side, side}, labels}, options, {5, 6, 0},
                                         1.0f / n, GradientMode::overwrite);
    return (result.loss_a + options.alpha * result.loss_b) * (1.0f / n);
  };
  loss(values);
  std::vector<float> gradients(table.trainable_floats);
  engine->training().read_gradients(gradients);

  for (int id = 0; id < kTrainable; ++id) {
    const auto gradient = parameter(std::span<const float>(gradients), table, id);
    double squares = 0;
    for (const float g : gradient) squares += double{g} * g;
    if (squares == 0) continue;                     // convolution biases
    const double step = 1e-4 / std::sqrt(squares);  // small enough that hardly any ReLU, maximum or rank changes
    const auto moved = [&](double by) {
      std::vector<float> at = values;
      const auto span = parameter(std::span(at), table, id);
      for (std::size_t i = 0; i < span.size(); ++i) span[i] = static_cast<float>(span[i] + by * gradient[i]);
      return at;
    };
    // The engine takes floats: what the parameters really moved along the gradient is measured, not assumed.
    const auto up = moved(step), down = moved(-step);
    double along = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      along += (double{up[table[id].offset + i]} - down[table[id].offset + i]) * gradient[i];
    }
    const double difference = loss(up) - loss(down);
    CHECK_THAT_MESSAGE(difference / along, WithinAbs(1.0, 0.01), table[id].name);
  }
}

}  // namespace
}  // namespace lfm
