// What the CUDA engine's training promises beyond right numbers, on the emulated device or on a GPU: the same bits in
// whatever order threads take turns, the same result split over processes, inference that follows training, the
// ablation's average pooling, room.
#include "lfm/error.h"
#include "src/engine/cuda/pack.h"
#include "tests/cases/deviation.h"
#include "tests/engine/engine_under_test.h"
#include "tests/engine/training_case.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/grid.h"
#include "tests/catch.h"
#endif

namespace lfm {
namespace {

using CudaTrainingTest = CudaEngineTest;

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.SameBitsInEveryOrderOfThreads") {
  const DrawnBatch batch(3, 48, 50, 1);
  const auto parameters = random_parameters({}, 2);
  auto first = engine_under_test();
  const auto expected = train(first, batch, parameters);
  for (const float value : expected) QUICK_REQUIRE(std::isfinite(value), value);
  const auto train_again = [&] {
    auto engine = engine_under_test(1);
    CHECK(train(engine, batch, parameters) == expected);
  };
#if defined(LFM_TARGET_EMULATED)
  for (const simt::Schedule& schedule : {simt::Schedule{simt::Order::descending, 0}, {simt::Order::shuffled, 3}}) {
    const simt::ScopedSchedule scoped(schedule);
    train_again();
  }
#else
  for (int run = 0; run < 3; ++run) train_again();  // a GPU's order is never quite the same
#endif
}

// See the CPU engine's test of the same name: rounding may turn a close maximum, so one seed must agree closely and
// each roughly.
TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.GradientsOfOddSizes") {
  for (const auto& [h, w] : {std::pair{48, 48}, {49, 63}, {64, 80}}) {
    double best = 1;
    for (unsigned seed = 0; seed < 6 && best > 1e-4; ++seed) {
      const DrawnBatch batch(1, h, w, seed);
      const auto parameters = random_parameters({}, 100 + seed);
      auto engine = engine_under_test();
      const double distance =
          relative_distance_of_gradients(gradients_of_one_pass(engine, batch, parameters),
                                         gradients_of_one_pass(*make_reference_engine(), batch, parameters));
      fmt::print("  {}x{} seed {}: relative distance {:.1e}\n", h, w, seed, distance);
      CHECK_MESSAGE(distance <= 0.2, h << "x" << w << " seed " << seed);
      best = std::min(best, distance);
    }
    CHECK_MESSAGE(best <= 1e-4, h << "x" << w);
  }
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.AveragePooling") {
  const Architecture architecture{Pooling::average, 1};
  const ParameterTable table = parameter_table(architecture);
  const DrawnBatch batch(2, 48, 52, 5);
  const auto parameters = random_parameters(architecture, 6);
  const TrainingOptions options{.rbld = false, .rks = false};
  const auto gradients = [&](Engine& e) {
    e.load(architecture, parameters);
    const auto result = forward_backward(e, batch.images(0, 2), options, {}, 0.5f, GradientMode::overwrite);
    CHECK(result.logit_b.empty());
    std::vector<float> values(table.trainable_floats);
    e.training().read_gradients(values);
    return values;
  };
  auto engine = engine_under_test();
  const auto got = gradients(engine), expected = gradients(*make_reference_engine());
  for (int id = 0; id < kTrainable; ++id) {
    const auto g = parameter(std::span<const float>(got), table, id),
               e = parameter(std::span<const float>(expected), table, id);
    CHECK(cases::close_to_largest(table[id].name, {g.begin(), g.end()}, {e.begin(), e.end()}, 1e-3));
  }
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.InferenceFollowsTraining") {
  const DrawnBatch batch(2, 48, 48, 7);
  auto trained = engine_under_test(), fresh = engine_under_test();
  const auto state = train(trained, batch, random_parameters({}, 8));
  fresh.load({}, std::span(state).first(parameter_table({}).total_floats));
  std::vector<float> got(2), expected(2);
  infer(trained, {}, batch.images(0, 2).pixels, got);
  infer(fresh, {}, batch.images(0, 2).pixels, expected);
  CHECK(got == expected);
  CHECK_MESSAGE(trained.read(Activation::grad_maps) == std::nullopt, "the last pass was inference");
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.PixelsAreReadWhereTheyLie") {
  const DrawnBatch batch(2, 48, 50, 12);
  const auto parameters = random_parameters({}, 13);
  auto engine = engine_under_test();
  const auto expected = gradients_of_one_pass(engine, batch, parameters);
  TrainingBatch images = batch.images(0, 2);
  const std::size_t bytes = images.pixels.bytes();
  PixelBuffer held = engine.host_memory(bytes);
  std::copy_n(images.pixels.pixels, bytes, held.get());
  for (const PixelMemory memory : {PixelMemory::pinned, PixelMemory::device}) {
    if (memory == PixelMemory::device) held = engine.place(images.pixels);
    images.pixels.pixels = held.get();
    images.pixels.memory = memory;
    engine.load({}, parameters);
    forward_backward(engine, images, options_for({}), {1, 2, 3}, 0.5f, GradientMode::overwrite);
    std::vector<float> got(parameter_table({}).trainable_floats);
    engine.training().read_gradients(got);
    CHECK_MESSAGE(got == expected, static_cast<int>(memory));
  }
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.StateContinuesElsewhere") {
  const DrawnBatch batch(2, 48, 48, 9);
  const ParameterTable table = parameter_table({});
  const std::size_t n = table.trainable_floats;
  auto one = engine_under_test(), other = engine_under_test();
  const auto state = train(one, batch, random_parameters({}, 10));
  other.load({}, std::span(state).first(table.total_floats));
  other.training().write_moments(std::span(state).subspan(table.total_floats + n, n), std::span(state).last(n));
  std::vector<float> parameters[2];
  for (int i = 0; i < 2; ++i) {
    CudaEngine& e = i == 0 ? one : other;
    forward_backward(e, batch.images(0, 2), {}, {7, 3, 0}, 0.5f, GradientMode::overwrite);
    e.training().adam({}, 3);
    parameters[i].resize(table.total_floats);
    e.training().read_parameters(parameters[i]);
  }
  CHECK(parameters[0] == parameters[1]);
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.TwoProcessesAreOneBatch") {
#if defined(LFM_TEST_NCCL)
  SKIP("NCCL wants a GPU of its own for each process; a build with -DLFM_NCCL=OFF runs this");
#endif
  auto whole = engine_under_test(), left = engine_under_test(), right = engine_under_test();
  const SplitStep step = step_whole_and_split(whole, left, right, DrawnBatch(3, 48, 50, 9));
  CHECK(step.left.parameters == step.right.parameters);
  CHECK(relative_distance_of_gradients(step.left.gradients, step.whole.gradients) <=
        0.01);  // rounding may turn a close maximum
  const ParameterTable table = parameter_table({});
  for (int id = kTrainable; id < kParameters; ++id) {
    const auto g = parameter(std::span(step.left.parameters), table, id),
               e = parameter(std::span(step.whole.parameters), table, id);
    CHECK(cases::close_to_largest(table[id].name, {g.begin(), g.end()}, {e.begin(), e.end()}, 1e-5));
  }
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.Refusals") {
  const DrawnBatch batch(2, 48, 48, 1);
  auto engine = engine_under_test();
  engine.load({}, random_parameters({}, 1));
  TrainingBatch unlabelled = batch.images(0, 2);
  unlabelled.labels = {};
  {
    INFO("no labels");
    CHECK_THROWS_AS(forward_backward(engine, unlabelled, {}, {}, 1.0f, GradientMode::overwrite), Error);
  }
  const Architecture average{Pooling::average, 1};
  engine.load(average, random_parameters(average, 1));
  {
    INFO("RBLD of averages");
    CHECK_THROWS_AS(forward_backward(engine, batch.images(0, 1), {}, {}, 1.0f, GradientMode::overwrite), Error);
  }
}

TEST_CASE_METHOD(CudaTrainingTest, "CudaTrainingTest.RoomForThePapersBatch") {
  auto engine = engine_under_test();
  engine.load({}, random_parameters({}, 11));
  const std::size_t one = engine.plan({16, 224, 224, PlanMode::training}).bytes,
                    two = engine.plan({32, 224, 224, PlanMode::training}).bytes;
  fmt::print("  batch 32 at 224x224: {} MiB\n", two >> 20);
  CHECK(two <= 2 * one);
}

TEST_CASE("CudaPack.UnpacksWeights") {
  const std::vector<float> weight = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  CHECK(unpack_weight(pack_weight(weight, 2, 3, 2), 2, 3, 2) == weight);
}

}  // namespace
}  // namespace lfm
