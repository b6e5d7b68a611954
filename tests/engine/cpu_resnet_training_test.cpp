// The CPU engine's training of the ResNet trunk: its gradients beside the reference's, and what training promises
// beyond them.
#include <fmt/core.h>

#include <array>
#include <cmath>

#include "src/engine/cpu/cpu_engine.h"
#include "src/model/front_end.h"
#include "tests/catch.h"
#include "tests/engine/training_case.h"

namespace lfm {
namespace {

using cpu::CpuEngine;
using cpu::Kernels;

class CpuResnetTraining {
 protected:
  explicit CpuResnetTraining(const Kernels* kernels) : kernels_(*kernels) {}

  std::unique_ptr<CpuEngine> engine(int threads) const {
    return std::make_unique<CpuEngine>(threads, kernels_, kernels_.fp32);
  }

  const Kernels& kernels_;
};

// Odd sides, negative and zero scales. Where two values of a window, or a map's last rank, are as good as equal,
// engines may choose differently, and that moves gradients: so some seed must agree closely, and every one roughly.
TEST_CASE_METHOD_FOR_EACH(CpuResnetTraining, cpu::supported_kernels(), "CpuResnetTraining.GradientsAreTheReferences") {
  const auto reference = make_reference_engine();
  const auto tested = engine(2);
  for (const Architecture& architecture : {kSafeNetwork, kMixedNetwork}) {
    double best = 1;
    for (unsigned seed = 1; seed < 7 && best > 1e-4; ++seed) {
      const DrawnBatch batch(2, 49, 54, seed);
      const auto parameters = random_parameters(architecture, 100 + seed);
      const double distance = relative_distance_of_gradients(
          gradients_of_one_pass(*tested, batch, parameters, architecture),
          gradients_of_one_pass(*reference, batch, parameters, architecture), architecture);
      fmt::print("  {} seed {}: relative distance {:.1e}\n", front_end(architecture).word, seed, distance);
      CHECK(distance <= 0.3);
      if (seed == 1) {
        CHECK(relative_distance_of_statistics(parameters_of(*tested), parameters_of(*reference), architecture) <= 1e-5);
      }
      best = std::min(best, distance);
    }
    CHECK(best <= 1e-4);
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuResnetTraining, cpu::supported_kernels(), "CpuResnetTraining.SameBitsWhateverTheThreads") {
  const DrawnBatch batch(5, 49, 55, 1);
  const auto parameters = random_parameters(kMixedNetwork, 2);
  const auto expected = train(*engine(1), batch, parameters, kMixedNetwork);
  for (const float value : expected) QUICK_REQUIRE(std::isfinite(value), value);
  for (const int threads : {2, 5})
    CHECK_MESSAGE(train(*engine(threads), batch, parameters, kMixedNetwork) == expected, threads << " threads");
}

TEST_CASE_METHOD_FOR_EACH(CpuResnetTraining, cpu::supported_kernels(), "CpuResnetTraining.InferenceFollowsTraining") {
  const DrawnBatch batch(4, 48, 48, 7);
  auto trained = engine(2);
  const auto state = train(*trained, batch, random_parameters(kSafeNetwork, 8), kSafeNetwork);
  auto fresh = engine(2);
  fresh->load(kSafeNetwork, std::span(state).first(parameter_table(kSafeNetwork).total_floats));
  std::vector<float> got(4), expected(4);
  infer(*trained, kSafeNetwork, batch.images(0, 4).pixels, got);
  infer(*fresh, kSafeNetwork, batch.images(0, 4).pixels, expected);
  CHECK(got == expected);
}

TEST_CASE_METHOD_FOR_EACH(CpuResnetTraining, cpu::supported_kernels(), "CpuResnetTraining.TwoProcessesAreOneBatch") {
  const auto whole = engine(2), left = engine(1), right = engine(1);
  const SplitStep step = step_whole_and_split(*whole, *left, *right, DrawnBatch(3, 48, 50, 9), kNprNetwork);
  CHECK(step.left.parameters == step.right.parameters);
  CHECK(step.left.gradients == step.right.gradients);
  CHECK(relative_distance_of_gradients(step.left.gradients, step.whole.gradients, kNprNetwork) <= 0.01);  // see above
  CHECK(relative_distance_of_statistics(step.left.parameters, step.whole.parameters, kNprNetwork) <= 1e-5);
}

}  // namespace
}  // namespace lfm
