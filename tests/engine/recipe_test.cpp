// Which kernels are chosen for which GPU, without one.
#include "src/engine/cuda/recipe.h"

#include <gtest/gtest.h>

#include "kernels/winograd_layout.h"
#include "lfm/error.h"
#include "src/engine/cuda/plan.h"

namespace lfm {
namespace {

constexpr int kTuring = 75, kAmpere = 80, kHopper = 90, kBlackwell = 120;

TEST(Recipes, Fp32ConvolvesByWinogradUnlessToldOtherwise) {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    EXPECT_EQ(choose(capability, Precision::fp32).convolution, BlockConvolution::winograd);
    EXPECT_EQ(choose(capability, Precision::fp32, {.winograd = false}).convolution, BlockConvolution::direct);
  }
}

TEST(Recipes, HalfPrecisionIsForTensorCoresThatHaveIt) {
  for (const int capability : {kTuring, kAmpere, kHopper, kBlackwell}) {
    EXPECT_EQ(choose(capability, Precision::fp16).convolution, BlockConvolution::tensor);
    for (const Precision precision : {Precision::bf16, Precision::tf32}) {
      EXPECT_EQ(multiplies(capability, precision), capability >= kAmpere);
      if (capability < kAmpere) {
        EXPECT_THROW(choose(capability, precision), Error);
      } else {
        EXPECT_EQ(choose(capability, precision).precision, precision);
      }
    }
  }
  EXPECT_THROW(choose(kAmpere, Precision::automatic), Error) << "somebody has to decide first";
}

// No GPU that the program takes is left without a recipe, and each row is reachable.
TEST(Recipes, AreAllReachable) {
  for (const Recipe& row : recipes()) {
    EXPECT_LE(row.capability_from, row.capability_to) << row.name;
    const RecipeOptions options{.winograd = row.convolution != BlockConvolution::direct};
    EXPECT_EQ(&choose(row.capability_from, row.precision, options), &row) << row.name;
  }
}

TEST(Recipes, SizeWeightsAndActivations) {
  for (const Recipe& row : recipes()) {
    const WeightPlan weights = plan_weights({}, row);
    EXPECT_EQ(weights.projection.bytes() == 0, row.fuses_projection) << row.name;
    EXPECT_EQ(plan_inference({}, 2, 64, 64, row).blocks[3].bytes() == 0, row.fuses_projection) << row.name;
    EXPECT_EQ(weights.weight[1].count(), static_cast<std::size_t>(row.weight_factors) * 64 * 128) << row.name;
    if (row.convolution == BlockConvolution::winograd) {
      EXPECT_EQ(row.weight_factors, kernels::WinogradTile::kPoints);
    }
  }
}

}  // namespace
}  // namespace lfm
