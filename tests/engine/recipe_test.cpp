// Which kernels are chosen for which GPU, without one.
#include "src/engine/cuda/recipe.h"

#include "kernels/winograd_layout.h"
#include "lfm/error.h"
#include "src/engine/cuda/plan.h"
#include "tests/catch.h"

namespace lfm {
namespace {

constexpr int kTuring = 75, kAmpere = 80, kHopper = 90, kBlackwell = 120;

TEST_CASE("Recipes.Fp32ConvolvesByWinogradUnlessToldOtherwise") {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    CHECK(choose(capability, Precision::fp32).convolution == BlockConvolution::winograd);
    CHECK(choose(capability, Precision::fp32, {.winograd = false}).convolution == BlockConvolution::direct);
  }
}

TEST_CASE("Recipes.HalfPrecisionIsForTensorCoresThatHaveIt") {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    CHECK(choose(capability, Precision::fp16).convolution == BlockConvolution::tensor);
    for (const Precision precision : {Precision::bf16, Precision::tf32}) {
      CHECK(multiplies(capability, precision) == (capability >= kAmpere));
      if (capability < kAmpere) {
        CHECK_THROWS_AS(choose(capability, precision), Error);
      } else {
        CHECK(choose(capability, precision).precision == precision);
      }
    }
  }
  {
    INFO("somebody has to decide first");
    CHECK_THROWS_AS(choose(kAmpere, Precision::automatic), Error);
  }
}

// No GPU that the program takes is left without a recipe, and each row is reachable.
TEST_CASE("Recipes.AreAllReachable") {
  for (const Recipe& row : recipes()) {
    CHECK_MESSAGE(row.capability_from <= row.capability_to, row.name);
    const RecipeOptions options{.winograd = row.convolution != BlockConvolution::direct};
    CHECK_MESSAGE(&choose(row.capability_from, row.precision, options) == &row, row.name);
  }
}

TEST_CASE("Recipes.SizeWeightsAndActivations") {
  for (const Recipe& row : recipes()) {
    const WeightPlan weights = plan_weights({}, row);
    CHECK_MESSAGE((weights.projection.bytes() == 0) == row.fuses_projection, row.name);
    CHECK_MESSAGE((plan_inference({}, 2, 64, 64, row).blocks[3].bytes() == 0) == row.fuses_projection, row.name);
    CHECK_MESSAGE(weights.weight[1].count() == static_cast<std::size_t>(row.weight_factors) * 64 * 128, row.name);
    if (row.convolution == BlockConvolution::winograd) {
      CHECK(row.weight_factors == kernels::WinogradTile::kPoints);
    }
  }
}

}  // namespace
}  // namespace lfm
