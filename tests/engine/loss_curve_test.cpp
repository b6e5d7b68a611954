// The same seed gives the same loss curve on every engine: some steps of training, draws included, next to the
// reference's.
#include <fmt/core.h>

#include <cmath>
#include <random>

#include "src/engine/network.h"
#include "src/model/initialise.h"
#include "tests/cases/engines.h"
#include "tests/catch.h"

namespace lfm {
namespace {

constexpr int kSteps = 6, kImages = 4, kSide = 50;
constexpr std::uint64_t kSeed = 5;

std::vector<double> loss_curve(Engine& engine) {
  std::mt19937 random(6);
  engine.load({}, initial_values({}, kSeed));
  std::vector<double> losses;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    std::vector<std::uint8_t> pixels(std::size_t{3} * kImages * kSide * kSide), labels(kImages);
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random());
    for (auto& label : labels) label = random() & 1;
    const auto result = forward_backward(engine, {{pixels.data(), kImages, kSide, kSide}, labels}, {}, {kSeed, step, 0},
                                         1.0f / kImages, GradientMode::overwrite);
    losses.push_back((result.loss_a + 0.1 * result.loss_b) / kImages);
    engine.training().adam({}, step + 1);
  }
  return losses;
}

TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines_beside_reference(),
                   "LossCurve.FollowsTheReferences") {
  const auto reference = make_reference_engine();
  const std::vector<double> expected = loss_curve(*reference), got = loss_curve(*tested.make());
  for (std::size_t step = 0; step < kSteps; ++step) {
    fmt::print("  step {}: {:.7f}, reference {:.7f}\n", step + 1, got[step], expected[step]);
    // Adam divides each gradient by its own size, so rounding grows from step to step.
    CHECK_THAT(got[step], WithinAbs(expected[step], 2e-4 * static_cast<double>(step + 1)));
  }
}

}  // namespace
}  // namespace lfm
