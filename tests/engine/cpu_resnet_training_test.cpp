// The CPU engine's training of the ResNet trunk: its gradients beside the reference's, and what training promises
// beyond them.
#include <fmt/core.h>

#include <array>
#include <cmath>
#include <thread>

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
  const ParameterTable table = parameter_table(kNprNetwork);
  const DrawnBatch batch(3, 48, 50, 9);
  const auto parameters = random_parameters(kNprNetwork, 10);
  const auto step = [&](Engine& e, int first, int count) {
    e.load(kNprNetwork, parameters);
    forward_backward(e, batch.images(first, count), options_for(kNprNetwork), {3, 1, first}, 1.0f / 3,
                     GradientMode::overwrite);
    e.training().adam({}, 1);
    std::vector<float> gradients(table.trainable_floats);
    e.training().read_gradients(gradients);
    return std::pair(parameters_of(e), gradients);
  };
  const auto whole = step(*engine(2), 0, 3);

  Group group(2);
  std::array<std::unique_ptr<CpuEngine>, 2> halves = {engine(1), engine(1)};
  for (int rank = 0; rank < 2; ++rank) halves[static_cast<std::size_t>(rank)]->set_communicator(group.member(rank));
  std::pair<std::vector<float>, std::vector<float>> two;
  std::thread other([&] { two = step(*halves[1], 2, 1); });
  const auto one = step(*halves[0], 0, 2);
  other.join();
  CHECK(one == two);
  CHECK(relative_distance_of_gradients(one.second, whole.second, kNprNetwork) <= 0.01);  // see above
  CHECK(relative_distance_of_statistics(one.first, whole.first, kNprNetwork) <= 1e-5);
}

}  // namespace
}  // namespace lfm
