// The ResNet trunk (model/resnet.h) in a GPU's memory: where its activations and weights lie, how these are packed, and
// into how many blocks of threads its convolutions cut an image. Parts of plan.h's plans; its kernels are launched in
// resnet.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "lfm/precision.h"
#include "src/engine/cuda/pass_size.h"
#include "src/engine/plan.h"
#include "src/model/architecture.h"

namespace lfm {

/// Activations of a pass, of the precision, [n][h][w][c]; all empty where the trunk is another. A bottleneck whose
/// shortcut is no convolution works in place, but for the last, which writes the maps that are pooled.
struct ResnetPlan {
  MapSize stem_size, layer1_size, layer2_size;
  Region stem, layer1, layer2;
  Region reduced;  ///< what the 1x1 before a bottleneck's 3x3 gives; of the largest
  Region spatial;  ///< what the 3x3 gives, likewise
};

ResnetPlan plan_resnet(const Architecture& architecture, int n, int height, int width, Precision precision,
                       ArenaLayout& layout);

/// Weights of the trunk's convolutions, by their row in kTrunkConvolutions; all empty where the trunk is another.
struct ResnetWeights {
  /// [kernel*kernel][ic][oc]: the stem's float always, of FP32 as they are, else in stages (tensor_pack.h).
  std::array<Region, kTrunkConvolutions.size()> weight;
  std::array<Region, kTrunkConvolutions.size()> bias;  ///< float [oc]
};

ResnetWeights plan_resnet_weights(Precision precision, ArenaLayout& layout);

/// Folds, rounds and packs the parameters into `memory`. values: laid out by the parameter table.
void pack_resnet(std::byte* memory, const ResnetWeights& weights, Precision precision, const Architecture& architecture,
                 std::span<const float> values);

/// Of the convolutions behind the stem, as convolution_grids() has those of SNet's blocks.
std::vector<ImageGrid> resnet_grids(const ResnetPlan& plan);

}  // namespace lfm
