// Where inference's buffers lie (engine/plan.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lfm/precision.h"
#include "src/engine/cuda/recipe.h"
#include "src/engine/cuda/resnet_plan.h"
#include "src/engine/plan.h"
#include "src/model/architecture.h"

namespace lfm {

/// Bytes of an activation or weight of this precision; TF32 lies in 32 bits.
constexpr std::size_t item_bytes(Precision precision) {
  return precision == Precision::fp16 || precision == Precision::bf16 ? 2 : 4;
}

/// What libraries may take for a while. cuBLAS's own are as large on Hopper, smaller before.
inline constexpr std::size_t kLibraryWorkspace = std::size_t{32} << 20;

/// Alignment of regions in device memory.
inline constexpr std::size_t kDeviceAlignment = 256;

/// The activations of one inference pass. Images wait in two slots, so that the next batch travels while one is
/// computed.
struct InferencePlan {
  const Recipe* recipe = nullptr;
  int n = 0;
  int height = 0;
  int width = 0;
  MapSize input;                 ///< of the residual
  NetworkShape shape;            ///< SNet's
  std::array<Region, 2> pixels;  ///< uint8 [n][height][width][3]
  Region residual;               ///< float [n][h][w][3]; empty where block 1 computes it on its way
  /// SNet's, of the precision, [n][h][w][c]; where the projection is fused the last is never in memory, and empty here.
  std::array<Region, kBlocks> blocks;
  int split_images = 0;  ///< up to so many, the last block is computed in two launches: pass_size.h
  Region scratch;        ///< of these images, of the precision, [images][tiles][positions of a tile][c]; or empty
  Region unpooled;       ///< of the precision: what a library convolved, [n][h][w][c] of the largest; or empty
  Region unfolded;       ///< of the precision: what it multiplies, [n][h][w][4*c] of the largest; or empty
  Region workspace;      ///< bytes, of libraries; or empty
  ResnetPlan resnet;     ///< in place of all these
  Region maps;           ///< float [n][map channels][h][w]
  Region features;       ///< float [n][map channels][values per channel]
  Region logits;         ///< float [n]
  Plan arena;
};

/// Whether a kernel of the trunk computes the residual on its way, its values never in memory.
bool is_fused(const Architecture& architecture);

/// multiprocessors: of the GPU; 0: nothing is split for few images.
InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width,
                             const Recipe& recipe = choose(kOldestCapability, Precision::fp32),
                             int multiprocessors = 0);

/// The weights as the inference kernels read them.
struct WeightPlan {
  const Recipe* recipe = nullptr;
  /// float [4][ic][oc]; but in blocks 2 to 4, unless they are direct, in stages: transformed (pack_winograd), or for
  /// tensor cores (tensor_pack.h), the last with the projection among them. For libraries [oc][4][ic] of the precision.
  std::array<Region, kBlocks> weight;
  std::array<Region, kBlocks> bias;  ///< float [oc]; for libraries of the precision
  Region projection;                 ///< float [512][64], or empty; for libraries [64][512] of the precision
  ResnetWeights resnet;              ///< in place of all these
  Region head_weight;                ///< float [features]
  Region head_bias;                  ///< float [1]
  Plan arena;
};

WeightPlan plan_weights(const Architecture& architecture, const Recipe& recipe);

}  // namespace lfm
