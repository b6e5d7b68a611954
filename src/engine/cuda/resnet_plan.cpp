#include "src/engine/cuda/resnet_plan.h"

#include <algorithm>
#include <cstdint>

#include "kernels/tensor_layout.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/cuda/tensor_pack.h"
#include "src/model/fold.h"

namespace lfm {

namespace {

constexpr int kResidentTrunkBlocks = 2;  // of padded_conv: docs/KERNEL-RESOURCES.md

/// Of a bottleneck's input and output.
const MapSize& size_before(const ResnetPlan& plan, int bottleneck) {
  return bottleneck == 0 ? plan.stem_size : bottleneck <= kLayer1End ? plan.layer1_size : plan.layer2_size;
}
const MapSize& size_behind(const ResnetPlan& plan, int bottleneck) {
  return bottleneck < kLayer1End ? plan.layer1_size : plan.layer2_size;
}

}  // namespace

ResnetPlan plan_resnet(const Architecture& architecture, int n, int height, int width, Precision precision,
                       ArenaLayout& layout) {
  ResnetPlan plan;
  for (const Stage& stage : stages(architecture, height, width)) {
    if (stage.kind == StageKind::stem) plan.stem_size = stage.out.size;
    if (stage.kind == StageKind::bottleneck)
      (stage.block < kLayer1End ? plan.layer1_size : plan.layer2_size) = stage.out.size;
  }
  const auto add = [&](const char* name, const MapSize& size, int channels) {
    return layout.add(name, {n, size.h, size.w, channels}, item_bytes(precision));
  };
  plan.stem = add("stem", plan.stem_size, kStemChannels);
  plan.layer1 = add("layer1", plan.layer1_size, kBottlenecks[kLayer1End - 1].out());
  plan.layer2 = add("layer2", plan.layer2_size, kResnetMapChannels);
  struct Largest {
    MapSize size;
    int channels = 0;
    void take(const MapSize& other, int other_channels) {
      if (other.area() * other_channels > size.area() * channels) size = other, channels = other_channels;
    }
  } reduced, spatial;
  for (int b = 0; b < static_cast<int>(kBottlenecks.size()); ++b) {
    const int middle = kBottlenecks[static_cast<std::size_t>(b)].middle;
    reduced.take(size_before(plan, b), middle);
    spatial.take(size_behind(plan, b), middle);
  }
  plan.reduced = add("reduced", reduced.size, reduced.channels);
  plan.spatial = add("spatial", spatial.size, spatial.channels);
  return plan;
}

ResnetWeights plan_resnet_weights(Precision precision, ArenaLayout& layout) {
  ResnetWeights plan;
  for (std::size_t i = 0; i < kTrunkConvolutions.size(); ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[i];
    plan.weight[i] =
        layout.add("weight", {c.kernel * c.kernel, c.ic, c.oc, 1}, i == 0 ? sizeof(float) : item_bytes(precision));
    plan.bias[i] = layout.add("bias", {c.oc, 1, 1, 1}, sizeof(float));
  }
  return plan;
}

void pack_resnet(std::byte* memory, const ResnetWeights& weights, Precision precision, const Architecture& architecture,
                 std::span<const float> values) {
  for (std::size_t i = 0; i < kTrunkConvolutions.size(); ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[i];
    const FoldedBlock folded = fold_convolution(architecture, values, static_cast<int>(i));
    const auto put_stages = [&]<typename T>(T) {
      put(memory, weights.weight[i], pack_padded_conv<T>(folded.weight, c.oc, c.ic, c.kernel * c.kernel));
    };
    switch (i == 0 ? Precision::fp32 : precision) {
      case Precision::fp16: put_stages(kernels::Half{}); break;
      case Precision::bf16: put_stages(kernels::Bfloat16{}); break;
      case Precision::tf32: put_stages(kernels::Tf32{}); break;
      default: put(memory, weights.weight[i], pack_weight(folded.weight, c.oc, c.ic, c.kernel * c.kernel));
    }
    put(memory, weights.bias[i], folded.bias);
  }
}

std::vector<ImageGrid> resnet_grids(const ResnetPlan& plan) {
  using Tile = kernels::PaddedConvTile;
  std::vector<ImageGrid> grids;
  for (std::size_t i = 1; i < kTrunkConvolutions.size(); ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[i];
    const bool reduces = static_cast<int>(i) == first_convolution(c.bottleneck) + kReduce;
    const double positions = (reduces ? size_before : size_behind)(plan, c.bottleneck).area();
    grids.push_back({positions / Tile::kRows * (c.oc / Tile::columns(c.oc)), kResidentTrunkBlocks,
                     positions * c.kernel * c.kernel * c.ic * c.oc});
  }
  return grids;
}

}  // namespace lfm
