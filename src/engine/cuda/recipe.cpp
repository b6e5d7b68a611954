#include "src/engine/cuda/recipe.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "lfm/error.h"
#include "src/engine/precision.h"

namespace lfm {

namespace {

constexpr int kAmpere = 80, kHopper = 90, kOldest = kOldestCapability, kNewest = kNewestCapability;
constexpr int kTurings = kAmpere - 1;

// clang-format off
constexpr std::array kRecipes = {
    //     name                          precision        from     to        convolution            factors  fuses  resident
    Recipe{"FFMA, Winograd",             Precision::fp32, kOldest, kNewest,  BlockConvolution::winograd, 9,  false, 1},
    Recipe{"FFMA, direct",               Precision::fp32, kOldest, kNewest,  BlockConvolution::direct,   4,  false, 2},
    Recipe{"tensor cores, FP16, Turing", Precision::fp16, kOldest, kTurings, BlockConvolution::tensor,   4,  true,  1},
    Recipe{"warpgroups, FP16",           Precision::fp16, kHopper, kHopper,  BlockConvolution::wgmma,    4,  true,  2},
    Recipe{"warpgroups, BF16",           Precision::bf16, kHopper, kHopper,  BlockConvolution::wgmma,    4,  true,  2},
    Recipe{"warpgroups, TF32",           Precision::tf32, kHopper, kHopper,  BlockConvolution::wgmma,    4,  true,  2},
    Recipe{"tensor cores, FP16",         Precision::fp16, kAmpere, kNewest,  BlockConvolution::tensor,   4,  true,  2},
    Recipe{"tensor cores, BF16",         Precision::bf16, kAmpere, kNewest,  BlockConvolution::tensor,   4,  true,  2},
    Recipe{"tensor cores, TF32",         Precision::tf32, kAmpere, kNewest,  BlockConvolution::tensor,   4,  true,  2},
};
// clang-format on

}  // namespace

std::span<const Recipe> recipes() { return kRecipes; }

bool multiplies(int capability, Precision precision) {
  return std::ranges::any_of(kRecipes,
                             [&](const Recipe& r) { return r.precision == precision && r.runs_on(capability); });
}

const Recipe& choose(int capability, Precision precision, const RecipeOptions& options) {
  const auto fits = [&](const Recipe& r) {
    return r.precision == precision && r.runs_on(capability) &&
           (options.winograd || r.convolution != BlockConvolution::winograd) &&
           (options.wgmma || r.convolution != BlockConvolution::wgmma);
  };
  const auto found = std::ranges::find_if(kRecipes, fits);
  if (found != kRecipes.end()) return *found;
  throw Error(ErrorCode::usage, fmt::format("no kernels compute in {} at compute capability {}.{}",
                                            precision_name(precision), capability / 10, capability % 10));
}

Recipe with_providers(Recipe recipe, const Providers& providers) {
  recipe.providers = providers;
  if (!recipe.fuses_projection) return recipe;
  Provider& block = recipe.providers.of[static_cast<std::size_t>(block_stage(kBlocks - 1).index)];
  Provider& projection = recipe.providers.of[static_cast<std::size_t>(stage_of(StageKind::projection).index)];
  if (block == Provider::own && projection == Provider::own) return recipe;
  for (Provider* one : {&block, &projection}) {
    if (*one == Provider::own) *one = Provider::cublas;
  }
  recipe.fuses_projection = false;
  return recipe;
}

}  // namespace lfm
