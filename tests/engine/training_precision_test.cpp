// Training with convolutions on tensor cores, on the emulated device or on a GPU: gradients next to PyTorch's in FP32,
// the loss curve next to FP32's, the same bits in every order of threads.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "lfm/error.h"
#include "src/engine/cuda/cuda_engine.h"
#include "src/engine/device.h"
#include "src/engine/precision.h"
#include "src/model/initialise.h"
#include "src/model/safetensors.h"
#include "tests/cases/deviation.h"
#include "tests/cases/device_under_test.h"
#include "tests/cases/error_bound.h"
#include "tests/cases/fixture.h"
#include "tests/engine/training_case.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/grid.h"
#include "tests/catch.h"
#endif

namespace lfm {
namespace {

// Rounding does two things to a gradient. It moves the products that the gradient is made of, by as much as the unit
// roundoff u; that shows in the loss and in the head. And it decides close comparisons otherwise (which of a pooling
// window is the largest, which of a map's values stands before which, what is above zero), and then a gradient flows
// elsewhere altogether. The share of comparisons that are so close is proportional to u, and the distance, a Euclidean
// norm, to the square root of that share. The factors are up to twice what is measured.
class TrainingPrecision {
 protected:
  explicit TrainingPrecision(Precision precision) : precision_(precision) {
    cases::skip_unless_device_runs(precision);
    made_ = std::make_unique<CudaEngine>(0, "under test", Precision::fp32, nullptr, precision);
  }
  CudaEngine& engine() { return *made_; }

  const Precision precision_;
  const double u_ = precision_ == Precision::bf16 ? cases::kRoundoffBf16 : cases::kRoundoffTf32;
  const double loss_ = 2 * u_;  // after one step
  const double head_gradient_ = 8 * u_;
  const double gradient_ = 4 * std::sqrt(u_);          // behind max-pooling and ReLU
  const double ranked_gradient_ = 12 * std::sqrt(u_);  // and where top-k pooling ranks, too

 private:
  std::unique_ptr<CudaEngine> made_;
};

constexpr Precision kTrained[] = {Precision::tf32, Precision::bf16};

bool is_conv_bias(int id) { return id < kProjection && id % 4 == kConvBias; }

/// The fixture's network, images and labels.
struct Fixture {
  static constexpr int kImages = 4, kSide = 64;
  Fixture() : file(read_safetensors(cases::fixtures() / "train_small.safetensors")) {
    pixels = cases::interleave(cases::integers(file, "pixels"), kImages, kSide, kSide);
    for (const int label : cases::integers(file, "labels")) labels.push_back(static_cast<std::uint8_t>(label));
  }
  TrainingBatch batch() const { return {{pixels.data(), kImages, kSide, kSide}, labels}; }
  TensorFile file;
  std::vector<std::uint8_t> pixels, labels;
};

template <typename Expected>
void expect_gradients(Engine& engine, const ParameterTable& table, double limit, Expected expected) {
  std::vector<float> gradients(table.trainable_floats);
  engine.training().read_gradients(gradients);
  double worst = 0;
  for (int id = 0; id < kTrainable; ++id) {
    if (is_conv_bias(id)) continue;
    const std::vector<float> want = expected(id);
    const double distance = relative_distance(parameter(std::span<const float>(gradients), table, id), want);
    CHECK_MESSAGE(distance <= limit, table[id].name);
    worst = std::max(worst, distance);
  }
  fmt::print("  gradients: relative distance {:.1e} (limit {:.1e})\n", worst, limit);
}

// With averages in place of the ranked values, next to the reference.
TEST_CASE_METHOD_FOR_EACH(TrainingPrecision, kTrained, "TrainingPrecision.GradientsOfTheFixturesNetwork") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  const Fixture fixture;
  const Architecture average{Pooling::average, 1};
  const ParameterTable table = parameter_table(average), topk = parameter_table({});
  const auto init = cases::reference_parameters(fixture.file, "init.");
  std::vector<float> parameters = random_parameters(average, 3);
  for (int id = 0; id < kParameters; ++id) {
    const auto from = parameter(std::span(init), topk, id);
    if (id != kHeadWeight) std::copy(from.begin(), from.end(), parameter(std::span(parameters), table, id).begin());
  }
  const auto pass = [&](Engine& engine) {
    engine.load(average, parameters);
    forward_backward(engine, fixture.batch(), {.rbld = false, .rks = false}, {}, 0.25f, GradientMode::overwrite);
  };
  const auto reference = make_reference_engine();
  pass(*reference);
  pass(engine());
  std::vector<float> expected(table.trainable_floats);
  reference->training().read_gradients(expected);
  expect_gradients(engine(), table, gradient_, [&](int id) {
    const auto span = parameter(std::span(expected), table, id);
    return std::vector<float>(span.begin(), span.end());
  });
}

// Next to PyTorch's in FP32. Every rank has a weight of its own in the head, and RBLD's masks go by rank: where two of
// a map's values are exchanged, so are their gradients.
TEST_CASE_METHOD_FOR_EACH(TrainingPrecision, kTrained, "TrainingPrecision.GradientsOfTheFixture") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  const Fixture fixture;
  std::vector<std::uint8_t> keep;
  for (const int kept : cases::integers(fixture.file, "step0.rbld_keep"))
    keep.push_back(static_cast<std::uint8_t>(kept));
  const std::vector<std::int32_t> positions = cases::integers(fixture.file, "step0.rks_index");
  engine().load({}, cases::reference_parameters(fixture.file, "init."));
  const TrainingResult result = forward_backward(engine(), fixture.batch(), {}, {}, 1.0f / Fixture::kImages,
                                                 GradientMode::overwrite, {keep.data(), positions.data()});
  const float a = static_cast<float>(result.loss_a / Fixture::kImages),
              b = static_cast<float>(result.loss_b / Fixture::kImages);
  CHECK(cases::close_relative("loss", {a + 0.1f * b, a, b}, cases::floats(fixture.file, "step0.loss"), loss_));

  const ParameterTable table = parameter_table({});
  const auto expected = [&](int id) {
    return cases::floats(fixture.file, std::string("step0.grad.") + table[id].reference_name);
  };
  expect_gradients(engine(), table, ranked_gradient_, expected);
  std::vector<float> gradients(table.trainable_floats);
  engine().training().read_gradients(gradients);
  for (const int id : {kHeadWeight, kHeadBias}) {
    const double distance = relative_distance(parameter(std::span<const float>(gradients), table, id), expected(id));
    fmt::print("  {}: relative distance {:.1e} (limit {:.1e})\n", table[id].name, distance, head_gradient_);
    CHECK_MESSAGE(distance <= head_gradient_, table[id].name);
  }
}

TEST_CASE_METHOD_FOR_EACH(TrainingPrecision, kTrained, "TrainingPrecision.LossCurveFollowsFp32s") {
  constexpr int steps = 4;
  const auto curve = [](Engine& engine) {
    engine.load({}, initial_values({}, 5));
    std::vector<double> losses;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const DrawnBatch batch(4, 50, 50, static_cast<unsigned>(step));
      const auto result =
          forward_backward(engine, batch.images(0, 4), {}, {5, step, 0}, 0.25f, GradientMode::overwrite);
      losses.push_back((result.loss_a + 0.1 * result.loss_b) / 4);
      engine.training().adam({}, step + 1);
    }
    return losses;
  };
  CudaEngine fp32(0, "under test");
  const auto expected = curve(fp32), got = curve(engine());
  for (std::size_t step = 0; step < steps; ++step) {
    fmt::print("  step {}: {:.5f}, in FP32 {:.5f}\n", step + 1, got[step], expected[step]);
    CHECK_THAT(got[step], WithinAbs(expected[step], loss_ * static_cast<double>(step + 1)));
  }
}

TEST_CASE_METHOD_FOR_EACH(TrainingPrecision, kTrained, "TrainingPrecision.SameBitsInEveryOrderOfThreads") {
  const DrawnBatch batch(2, 48, 50, 1);
  const auto parameters = random_parameters({}, 2);
  const auto expected = train(engine(), batch, parameters);
  for (const float value : expected) QUICK_REQUIRE(std::isfinite(value), value);
#if defined(LFM_TARGET_EMULATED)
  const simt::ScopedSchedule scoped({simt::Order::shuffled, 3});
  constexpr int streams = 1;  // a seed of the order in which streams take turns
#else
  constexpr int streams = 0;  // the same GPU
#endif
  CudaEngine other(streams, "under test", Precision::fp32, {}, precision_);
  CHECK(train(other, batch, parameters) == expected);
  CudaEngine fp32(0, "under test");
  CHECK(train(fp32, batch, parameters) != expected);
}

#if defined(LFM_TARGET_EMULATED)
TEST_CASE("TrainingPrecisions.AreTheDevices") {
  EngineOptions options;
  options.training = Precision::bf16;
  CHECK(make_engine(parse_device("emulated"), options)->precision(PlanMode::training) == Precision::bf16);
  CHECK(make_engine(parse_device("cpu"))->precision(PlanMode::training) == Precision::fp32);
  for (const char* device : {"cpu", "reference"}) {
    INFO(device);
    CHECK_THROWS_AS(make_engine(parse_device(device), options), Error);
  }
  options.training = Precision::fp16;
  CHECK_THROWS_AS(make_engine(parse_device("emulated"), options), Error);
}
#endif

}  // namespace
}  // namespace lfm
