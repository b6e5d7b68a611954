// Ties fall alike on every engine: among equal values the first counts, in a pooling window as in a map's ranking.
// Where values are equal by construction, every engine must choose as the reference does; elsewhere each must choose by
// its own values, and by nothing else.
#include <fmt/core.h>

#include <cmath>

#include "src/engine/reference/operations.h"
#include "tests/cases/engines.h"
#include "tests/catch.h"
#include "tests/engine/training_case.h"

namespace lfm {
namespace {

constexpr int kHeight = 50, kWidth = 66;  // partial tiles on both sides
constexpr int kTied = 5;                  // the channel whose values are all equal

struct TrainingEngine {
  cases::EngineCase engine;
  bool full_precision = true;  ///< else rounding alone moves the gradients of the first blocks a lot

  double rounding() const {
    return full_precision ? 0.01 : 0.1;
  }  // a wrong choice of equals costs several times as much
};
std::string case_name(const TrainingEngine& tested) { return tested.engine.name; }

std::vector<TrainingEngine> training_engines() {
  std::vector<TrainingEngine> list;
  for (const auto& engine : cases::engines_beside_reference()) list.push_back({engine});
  if (!why_no_emulation().empty()) return list;
  for (const auto& [name, precision] :
       {std::pair{"emulated_tf32", Precision::tf32}, std::pair{"emulated_bf16", Precision::bf16}}) {
    list.push_back({{name, [p = precision] { return make_emulated_engine(Precision::automatic, {}, p); }}, false});
  }
  return list;
}

/// What one pass leaves behind.
struct Pass {
  TrainingResult result;
  std::vector<float> maps, grad_maps, gradients;
};

Pass pass_of(Engine& engine, const DrawnBatch& batch, std::span<const float> parameters,
             const TrainingOptions& options = {}) {
  engine.load({}, parameters);
  Pass pass;
  pass.result = forward_backward(engine, batch.images(0, batch.n), options, {1, 2, 0},
                                 1.0f / static_cast<float>(batch.n), GradientMode::overwrite);
  pass.maps = *engine.training().read(Activation::maps);
  pass.grad_maps = *engine.training().read(Activation::grad_maps);
  pass.gradients.resize(parameter_table({}).trainable_floats);
  engine.training().read_gradients(pass.gradients);
  return pass;
}

/// Part `index` of a tensor's `parts` along its first axis.
std::span<const float> slice(std::span<const float> tensor, std::size_t index, std::size_t parts) {
  return tensor.subspan(tensor.size() / parts * index, tensor.size() / parts);
}

class Ties {
 protected:
  explicit Ties(const TrainingEngine& tested) : tested_(tested) {}

  std::unique_ptr<Engine> engine() const { return tested_.engine.make(); }

  const TrainingEngine& tested_;
};

// Filters of zeros make one channel of every block, and one map, the same everywhere. A wrong choice gives the filter's
// gradient other patches, and the projection's other positions.
TEST_CASE_METHOD_FOR_EACH(Ties, training_engines(), "Ties.TheFirstOfEqualValuesWins") {
  const ParameterTable table = parameter_table({});
  auto parameters = random_parameters({}, 21);
  const auto part = [&](int id) { return parameter(std::span(parameters), table, id); };
  for (int b = 0; b < kBlocks; ++b) {
    const auto weight = part(conv_weight(b));
    std::ranges::fill(weight.subspan(weight.size() / kChannels[b + 1] * kTied, weight.size() / kChannels[b + 1]), 0.0f);
    part(conv_bias(b))[kTied] = part(running_mean(b))[kTied] = 0;
    part(norm_scale(b))[kTied] = 1;
    part(norm_shift(b))[kTied] = 0.5f;
  }
  std::ranges::fill(part(kProjection).subspan(std::size_t{kTied} * kChannels[kBlocks], kChannels[kBlocks]), 0.0f);

  const DrawnBatch batch(2, kHeight, kWidth, 22);
  const Pass got = pass_of(*engine(), batch, parameters),
             expected = pass_of(*make_reference_engine(), batch, parameters);
  const auto compare = [&](const char* what, std::span<const float> g, std::span<const float> e) {
    const double distance = relative_distance(g, e);
    fmt::print("  {}: relative distance {:.1e}\n", what, distance);
    CHECK_MESSAGE(distance <= tested_.rounding(), what);
  };
  const auto gradient = [&](const Pass& pass, int id, std::size_t parts) {
    return slice(parameter(std::span(pass.gradients), table, id), kTied, parts);
  };
  for (int b = 0; b + 1 < kBlocks && tested_.full_precision; ++b) {
    compare(table[conv_weight(b)].name.c_str(), gradient(got, conv_weight(b), kChannels[b + 1]),
            gradient(expected, conv_weight(b), kChannels[b + 1]));
  }
  compare("projection", gradient(got, kProjection, kMapChannels), gradient(expected, kProjection, kMapChannels));
  compare("gradient of the map", slice(got.grad_maps, kTied, 2 * kMapChannels),
          slice(expected.grad_maps, kTied, 2 * kMapChannels));
}

/// A picture of one colour, and one whose cells are all alike: every map is flat.
DrawnBatch flat_pictures(int height, int width) {
  DrawnBatch batch(2, height, width, 0);
  const std::size_t image = batch.pixels.size() / 2, row = static_cast<std::size_t>(width);
  std::fill_n(batch.pixels.begin(), image, std::uint8_t{200});
  for (std::size_t i = 0; i < image; ++i) {
    const std::size_t x = i / 3 % row, y = i / 3 / row, colour = i % 3;
    const bool corner = x % 2 == 0 && y % 2 == 0;
    batch.pixels[image + i] = static_cast<std::uint8_t>(corner ? 100 : 117 + 13 * colour + 7 * (x % 2) + 5 * (y % 2));
  }
  return batch;
}

TEST_CASE_METHOD_FOR_EACH(Ties, training_engines(), "Ties.FlatPicturesChooseTheFirstPositions") {
  const DrawnBatch batch = flat_pictures(kHeight, kWidth);
  const auto parameters = random_parameters({}, 23);
  const Pass got = pass_of(*engine(), batch, parameters),
             expected = pass_of(*make_reference_engine(), batch, parameters);
  std::size_t differing = 0;
  for (std::size_t i = 0; i < expected.grad_maps.size(); ++i)
    differing += (got.grad_maps[i] != 0) != (expected.grad_maps[i] != 0);
  CHECK_MESSAGE(differing == 0u, "of " << expected.grad_maps.size());
  // Else the logits' own rounding scales every value; RanksByItsOwnValues tells whether they are right.
  if (tested_.full_precision) {
    CHECK(relative_distance(got.grad_maps, expected.grad_maps) <= tested_.rounding());
  }
}

// What explains a score ranks the maps of inference, whose tiles are larger.
TEST_CASE_METHOD_FOR_EACH(Ties, training_engines(), "Ties.FlatPicturesHaveFlatMaps") {
  constexpr int height = 150, width = 166;
  const DrawnBatch batch = flat_pictures(height, width);
  auto parameters = random_parameters({}, 26);
  for (int b = 0; b < kBlocks; ++b) {
    for (float& variance : parameter(std::span(parameters), parameter_table({}), running_var(b)))
      variance = 0.5f + std::abs(variance);
  }
  const auto e = engine();
  e->load({}, parameters);
  const auto area = static_cast<std::size_t>(network_shape({}, height, width).maps().area());
  std::vector<float> logits(2), maps(2 * kMapChannels * area);
  infer(*e, {}, batch.images(0, 2).pixels, logits, {}, maps);
  for (std::size_t map = 0; map < 2 * kMapChannels; ++map) {
    const auto values = std::span(maps).subspan(map * area, area);
    CHECK_MESSAGE(*std::ranges::min_element(values) == *std::ranges::max_element(values), "map " << map);
  }
}

// Each rank's gradient lands where the engine's own map has that rank: a choice can differ from another engine's only
// by what rounding made of the values.
TEST_CASE_METHOD_FOR_EACH(Ties, training_engines(), "Ties.RanksByItsOwnValues") {
  const DrawnBatch batch(2, kHeight, kWidth, 24);
  const auto parameters = random_parameters({}, 25);
  const Pass pass = pass_of(*engine(), batch, parameters, {.rbld = false, .rks = false});
  const auto weight = parameter(std::span<const float>(parameters), parameter_table({}), kHeadWeight);
  reference::Maps maps(batch.n, kMapChannels, 1, static_cast<int>(pass.maps.size()) / batch.n / kMapChannels);
  std::ranges::copy(pass.maps, maps.values.begin());
  const reference::Selection selection = reference::select_topk(maps, Architecture{}.k);
  std::vector<double> grad_values(selection.position.size());
  for (std::size_t i = 0; i < grad_values.size(); ++i) {
    const std::size_t of_image = grad_values.size() / static_cast<std::size_t>(batch.n), n = i / of_image;
    grad_values[i] = reference::bce_with_logits_derivative(double{pass.result.logit_a[n]}, batch.labels[n]) / batch.n *
                     double{weight[i % of_image]};
  }
  reference::Maps expected(maps.n, maps.c, maps.h, maps.w);
  reference::select_backward(selection, grad_values, expected);
  CHECK(relative_distance(pass.grad_maps, std::vector<float>(expected.values.begin(), expected.values.end())) <= 1e-5);
}

}  // namespace
}  // namespace lfm
