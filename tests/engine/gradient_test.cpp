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

// Those of the ResNet trunk; sides odd and even, so that a stride of 2 leaves out the last row or not.
TEST_CASE("ReferenceGradient.ConvWithStrideAndPadding") {
  for (const auto& [kernel, stride] : {std::pair{1, 1}, std::pair{3, 1}, std::pair{1, 2}, std::pair{3, 2}}) {
    INFO("kernel " << kernel << " stride " << stride);
    Maps x = random_maps(2, 3, 5, 6, 31);
    std::vector<double> weight = random_values(static_cast<std::size_t>(2 * 3 * kernel * kernel), 32);
    const Maps grad_y = random_maps(2, 2, (x.h - 1) / stride + 1, (x.w - 1) / stride + 1, 33);
    const auto loss = [&, k = kernel, s = stride] {
      return dot(reference::conv(x, weight, k, s).values, grad_y.values);
    };

    std::vector<double> grad_weight(weight.size());
    reference::conv_backward_weight(x, grad_y, kernel, stride, grad_weight);
    expect_gradient("weight", weight, loss, grad_weight);
    expect_gradient("input", x.values, loss, reference::conv_backward_input(grad_y, weight, kernel, stride, x).values);
  }
}

TEST_CASE("ReferenceGradient.OverlappingMaxPool") {
  for (const auto& [h, w] : {std::pair{5, 7}, std::pair{6, 4}}) {
    Maps x = random_maps(2, 2, h, w, 34);
    const Maps grad_y = random_maps(2, 2, (h - 1) / 2 + 1, (w - 1) / 2 + 1, 35);
    const auto loss = [&] { return dot(reference::max_pool3x3(x).values, grad_y.values); };
    expect_gradient("input", x.values, loss, reference::max_pool3x3_backward(x, grad_y).values);
  }
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
    const auto logits = reference::head(x, weight, bias);
    for (std::size_t i = 0; i < n; ++i) sum += reference::bce_with_logits(logits[i], labels[i]);
    return sum;
  };

  std::vector<double> grad_logits(n), grad_weight(features), grad_bias(1);
  const auto logits = reference::head(x, weight, bias);
  for (std::size_t i = 0; i < n; ++i) grad_logits[i] = reference::bce_with_logits_derivative(logits[i], labels[i]);
  const auto grad_x = reference::head_backward(x, weight, grad_logits, grad_weight, grad_bias);
  expect_gradient("input", x, loss, grad_x);
  expect_gradient("weight", weight, loss, grad_weight);
  expect_gradient("bias", bias, loss, grad_bias);
}

TEST_CASE("ReferenceGradient.SoftmaxHeadAndLoss") {
  constexpr std::size_t n = 3, features = 5, outputs = 2;
  std::vector<double> x = random_values(n * features, 36), weight = random_values(outputs * features, 37),
                      bias = random_values(outputs, 38);
  const std::vector<std::size_t> labels = {1, 0, 1};
  const auto of_image = [](const std::vector<double>& y, std::size_t i) {
    return std::span<const double>(y).subspan(i * outputs, outputs);
  };
  const auto loss = [&] {
    double sum = 0;
    const auto y = reference::head(x, weight, bias);
    for (std::size_t i = 0; i < n; ++i) sum += reference::softmax_cross_entropy(of_image(y, i), labels[i]);
    return sum;
  };

  std::vector<double> grad_y(n * outputs), grad_weight(weight.size()), grad_bias(outputs);
  const auto y = reference::head(x, weight, bias);
  for (std::size_t i = 0; i < grad_y.size(); ++i) {
    const std::size_t image = i / outputs;
    grad_y[i] = reference::softmax_cross_entropy_derivative(of_image(y, image), labels[image], i % outputs);
  }
  const auto grad_x = reference::head_backward(x, weight, grad_y, grad_weight, grad_bias);
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
  const std::vector<double> y = {1e4, -1e4};
  CHECK(reference::softmax_cross_entropy(y, 0) == 0);
  CHECK(reference::softmax_cross_entropy(y, 1) == 2e4);
  CHECK(reference::softmax_cross_entropy_derivative(y, 1, 0) == 1);
  CHECK(reference::softmax_cross_entropy_derivative(y, 1, 1) == -1);
}

/// Three pictures and a network of random parameters, batch norm's near 1.
struct NetworkCase {
  static constexpr int n = 2, side = 48;
  Architecture architecture;
  TrainingOptions options;
  ParameterTable table = parameter_table(architecture);
  std::vector<std::uint8_t> pixels, labels = {1, 0};
  std::vector<float> values;
  std::unique_ptr<Engine> engine = make_reference_engine();

  NetworkCase(const Architecture& a, const TrainingOptions& o) : architecture(a), options(o) {
    std::mt19937 generator(21);
    pixels.resize(std::size_t{n} * side * side * 3);
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
    values.resize(table.total_floats);
    for (int id = 0; id < table.size(); ++id) {
      const auto span = parameter(std::span(values), table, id);
      const int fan_in = table[id].fan_in;
      const auto noise =
          random_values(span.size(), 22 + static_cast<unsigned>(id), fan_in ? std::sqrt(2.0 / fan_in) : 0.1);
      for (std::size_t i = 0; i < span.size(); ++i) span[i] = static_cast<float>(noise[i]) + (fan_in ? 0.0f : 1.0f);
    }
  }

  /// As network.cpp wires it, but forward alone.
  double loss(const std::vector<float>& at) {
    engine->load(architecture, at);
    Training& training = engine->training();
    training.begin({pixels.data(), n, side, side}, {labels, 1.0f / n, options, {5, 6, 0}, {}, {}});
    for (const Stage& stage : stage_table(architecture)) training.forward(stage);
    const TrainingResult result = training.end();
    return (result.loss_a + options.alpha * result.loss_b) * (1.0f / n);
  }

  std::vector<float> gradients() {
    engine->load(architecture, values);
    forward_backward(*engine, {{pixels.data(), n, side, side}, labels}, options, {5, 6, 0}, 1.0f / n,
                     GradientMode::overwrite);
    std::vector<float> all(table.trainable_floats);
    engine->training().read_gradients(all);
    return all;
  }
};

// A whole network, a directional derivative for each stage: every parameter moved along its own gradient, by the same
// distance; the loss must change by what the gradients say. first: stage.
void expect_gradients_of_network(const Architecture& architecture, const TrainingOptions& options, int first = 0) {
  NetworkCase network(architecture, options);
  const ParameterTable& table = network.table;
  const std::vector<float> gradients = network.gradients();
  for (const Stage& stage : stage_table(architecture)) {
    // Bottlenecks that keep their shape: the last one stands for all.
    const bool keeps =
        stage.kind == StageKind::bottleneck && !kBottlenecks[static_cast<std::size_t>(stage.block)].projects();
    if (stage.parameters.count == 0 || stage.index < first || (first == 0 && keeps)) continue;
    std::vector<float> up = network.values, down = up;
    double along = 0;
    for (int id = stage.parameters.first; id < stage.parameters.first + stage.parameters.count; ++id) {
      const auto gradient = parameter(std::span(gradients), table, id);
      double squares = 0;
      for (const float g : gradient) squares += double{g} * g;
      if (squares < 1e-20) continue;  // convolution biases: batch norm takes them away, and with them any constant
      const double step = 1e-4 / std::sqrt(squares);  // so small that hardly any ReLU, maximum or rank changes
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const std::size_t at = table[id].offset + i;
        up[at] = static_cast<float>(up[at] + step * gradient[i]);
        down[at] = static_cast<float>(down[at] - step * gradient[i]);
        // The engine takes floats: what the parameters really moved along the gradient is measured, not assumed.
        along += (double{up[at]} - down[at]) * gradient[i];
      }
    }
    CHECK_THAT_MESSAGE((network.loss(up) - network.loss(down)) / along, WithinAbs(1.0, 0.01), stage.name);
  }
}

TEST_CASE("ReferenceGradient.WholeNetwork") { expect_gradients_of_network({}, {.alpha = 0.7f}); }

TEST_CASE("ReferenceGradient.NprsNetwork") { expect_gradients_of_network(kNprNetwork, {.rbld = false, .rks = false}); }

// SAFE's head and LFM's pooling on the ResNet trunk, whose last stage they reach.
TEST_CASE("ReferenceGradient.SafesNetworkWithTopkPooling") {
  Architecture architecture = kSafeNetwork;
  architecture.pooling = Pooling::topk;
  architecture.k = 5;
  expect_gradients_of_network(architecture, {.alpha = 0.7f}, kResnetStages.back().index - 2);
}

}  // namespace
}  // namespace lfm
