// The CUDA engine's training of the ResNet trunk, on the emulated device or on a GPU: its gradients beside the
// reference's, and what training promises beyond them.
#include "lfm/error.h"
#include "src/model/front_end.h"
#include "tests/engine/engine_under_test.h"
#include "tests/engine/training_case.h"
#if defined(LFM_TARGET_EMULATED)
#include "kernels/simt/grid.h"
#endif

namespace lfm {
namespace {

using CudaResnetTraining = CudaEngineTest;

void expect_same_activations(Training& got, Training& want) {
  for (const Activation activation : {Activation::block1, Activation::block2, Activation::maps, Activation::features}) {
    const auto values = got.read(activation), expected = want.read(activation);
    REQUIRE((values && expected));
    REQUIRE(values->size() == expected->size());
    CHECK(relative_distance(*values, *expected) <= 1e-5);
  }
  for (const Activation activation : {Activation::block3, Activation::block4, Activation::grad_maps})
    CHECK(got.read(activation) == std::nullopt);
}

// See the CPU engine's test of the same name: rounding may turn a close maximum, so some seed must agree closely and
// every one roughly.
TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.GradientsAreTheReferences") {
  const auto reference = make_reference_engine();
  auto tested = engine_under_test();
  for (const Architecture& architecture : {kSafeNetwork, kMixedNetwork}) {
    double best = 1;
    for (unsigned seed = 1; seed < 7 && best > 1e-4; ++seed) {
      const DrawnBatch batch(2, 49, 54, seed);
      const auto parameters = random_parameters(architecture, 100 + seed);
      const double distance = relative_distance_of_gradients(
          gradients_of_one_pass(tested, batch, parameters, architecture),
          gradients_of_one_pass(*reference, batch, parameters, architecture), architecture);
      fmt::print("  {} seed {}: relative distance {:.1e}\n", front_end(architecture).word, seed, distance);
      CHECK(distance <= 0.3);
      if (seed == 1) {
        CHECK(relative_distance_of_statistics(parameters_of(tested), parameters_of(*reference), architecture) <= 1e-5);
        expect_same_activations(tested.training(), reference->training());
      }
      best = std::min(best, distance);
    }
    CHECK(best <= 1e-4);
  }
}

TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.SameBitsInEveryOrderOfThreads") {
  const DrawnBatch batch(3, 48, 50, 1);
  const auto parameters = random_parameters(kMixedNetwork, 2);
  auto first = engine_under_test();
  const auto expected = train(first, batch, parameters, kMixedNetwork);
  for (const float value : expected) QUICK_REQUIRE(std::isfinite(value), value);
#if defined(LFM_TARGET_EMULATED)
  const simt::ScopedSchedule scoped({simt::Order::shuffled, 3});
#endif
  auto again = engine_under_test(1);
  CHECK(train(again, batch, parameters, kMixedNetwork) == expected);
}

TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.StateContinuesElsewhere") {
  const DrawnBatch batch(2, 48, 48, 9);
  const ParameterTable table = parameter_table(kSafeNetwork);
  const std::size_t n = table.trainable_floats;
  auto one = engine_under_test(), other = engine_under_test();
  const auto state = train(one, batch, random_parameters(kSafeNetwork, 10), kSafeNetwork);
  other.load(kSafeNetwork, std::span(state).first(table.total_floats));
  other.training().write_moments(std::span(state).subspan(table.total_floats + n, n), std::span(state).last(n));
  const auto third_step = [&](Engine& engine) {
    forward_backward(engine, batch.images(0, 2), options_for(kSafeNetwork), {7, 3, 0}, 0.5f, GradientMode::overwrite);
    engine.training().adam({}, 3);
    return parameters_of(engine);
  };
  CHECK(third_step(one) == third_step(other));
  // What was folded for inference follows.
  std::vector<float> got(2), expected(2);
  const auto values = parameters_of(one);
  auto fresh = engine_under_test();
  fresh.load(kSafeNetwork, values);
  infer(one, kSafeNetwork, batch.images(0, 2).pixels, got);
  infer(fresh, kSafeNetwork, batch.images(0, 2).pixels, expected);
  CHECK(got == expected);
}

TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.TwoProcessesAreOneBatch") {
#if defined(LFM_TEST_NCCL)
  SKIP("NCCL wants a GPU of its own for each process; a build with -DLFM_NCCL=OFF runs this");
#endif
  auto whole = engine_under_test(), left = engine_under_test(), right = engine_under_test();
  const SplitStep step = step_whole_and_split(whole, left, right, DrawnBatch(3, 48, 50, 9), kNprNetwork);
  CHECK(step.left.parameters == step.right.parameters);
  CHECK(step.left.gradients == step.right.gradients);
  CHECK(relative_distance_of_gradients(step.left.gradients, step.whole.gradients, kNprNetwork) <= 0.01);  // see above
  CHECK(relative_distance_of_statistics(step.left.parameters, step.whole.parameters, kNprNetwork) <= 1e-5);
}

TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.RegionsFollowEachOtherAndAreAligned") {
  auto engine = engine_under_test();
  engine.load(kSafeNetwork, random_parameters(kSafeNetwork, 1));
  const Plan one = engine.plan({16, 224, 224, PlanMode::training}),
             two = engine.plan({32, 224, 224, PlanMode::training});
  std::size_t end = 0;
  for (const Region& region : two.regions) {
    CHECK_MESSAGE(region.offset % 256 == 0u, region.name);
    CHECK_MESSAGE(region.offset >= end, region.name);
    end = region.offset + region.bytes();
  }
  CHECK(end <= two.bytes);
  fmt::print("  batch 32 at 224x224: {} MiB\n", two.bytes >> 20);
  CHECK(two.bytes <= 2 * one.bytes);
}

// Tensor cores train SNet alone.
TEST_CASE_METHOD(CudaResnetTraining, "CudaResnetTraining.RefusesOtherPrecisions") {
  for (const Precision precision : {Precision::bf16, Precision::tf32}) {
    cases::skip_unless_device_runs(precision);
    auto engine = engine_under_test(0, Precision::fp32, {}, precision);
    engine.load(kNprNetwork, random_parameters(kNprNetwork, 1));  // for inference
    CHECK_THROWS_MATCHES(engine.training(), Error,
                         test::Says(ContainsSubstring("does not train networks with the trunk "
                                                      "of ResNet")));
    CHECK_THROWS_MATCHES(engine.reserve({1, 48, 48, PlanMode::training}), Error,
                         test::Says(ContainsSubstring("leave out --precision")));
  }
}

}  // namespace
}  // namespace lfm
