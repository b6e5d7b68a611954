#include "src/model/stages.h"

#include "src/model/architecture.h"
#include "src/model/front_end.h"

namespace lfm {
namespace {

/// The shape that a bottleneck makes of another, and what its convolutions cost.
void measure_bottleneck(Stage& stage) {
  MapSize size = stage.in.size;
  const int first = first_convolution(stage.block);
  for (int i = 0; i < stage.parameters.count / kTrunkParameters; ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(first + i)];
    if (i != kShortcut) size = c.out(size);  // the shortcut ends where the others do
    stage.multiply_adds += std::int64_t{c.kernel} * c.kernel * c.ic * c.oc * size.area();
  }
  stage.out = {kBottlenecks[static_cast<std::size_t>(stage.block)].out(), size};
}

StageTable resnet_stages(const Architecture& architecture, int height, int width) {
  check_image_size(height, width);
  StageTable table(kResnetStages.begin(), kResnetStages.end());
  StageShape in = {kChannels[0], {height, width}};
  for (Stage& stage : table) {
    stage.in = in;
    if (stage.kind == StageKind::front_end) {
      stage.out = {kChannels[0], front_end(architecture).input_size(in.size)};
    } else if (stage.kind == StageKind::stem) {
      const TrunkConvolution& c = kTrunkConvolutions[0];
      const MapSize convolved = c.out(in.size);
      stage.out = {kStemChannels, {stem_pooled(convolved.h), stem_pooled(convolved.w)}};
      stage.multiply_adds = std::int64_t{c.kernel} * c.kernel * c.ic * c.oc * convolved.area();
    } else if (stage.kind == StageKind::bottleneck) {
      measure_bottleneck(stage);
    } else if (stage.kind == StageKind::pooling) {
      check_positions(architecture, height, width, in.size);
      stage.out = {in.channels, {values_per_channel(architecture), 1}};
    } else {
      stage.out = {output_count(architecture), {1, 1}};
      stage.multiply_adds = std::int64_t{feature_count(architecture)} * output_count(architecture);
    }
    in = stage.out;
  }
  return table;
}

StageTable snet_stages(const Architecture& architecture, int height, int width) {
  const NetworkShape shape = network_shape(architecture, height, width);
  StageTable table(kStages.begin(), kStages.end());
  StageShape in = {kChannels[0], {height, width}};
  for (Stage& stage : table) {
    stage.in = in;
    const auto b = static_cast<std::size_t>(stage.block);
    switch (stage.kind) {
      case StageKind::front_end: stage.out = {kChannels[0], shape.input}; break;
      case StageKind::block:
        stage.out = {kChannels[b + 1], shape.out[b]};
        stage.multiply_adds = std::int64_t{4} * in.channels * stage.out.channels * shape.conv[b].area();
        break;
      case StageKind::projection:
        stage.out = {kMapChannels, in.size};
        stage.multiply_adds = std::int64_t{in.channels} * kMapChannels * in.size.area();
        break;
      case StageKind::pooling: stage.out = {kMapChannels, {values_per_channel(architecture), 1}}; break;
      case StageKind::head:
        stage.out = {1, {1, 1}};
        stage.multiply_adds = feature_count(architecture);
        break;
      case StageKind::stem:
      case StageKind::bottleneck: break;  // not SNet's
    }
    in = stage.out;
  }
  return table;
}

}  // namespace

StageTable stages(const Architecture& architecture, int height, int width) {
  return architecture.trunk == Trunk::resnet ? resnet_stages(architecture, height, width)
                                             : snet_stages(architecture, height, width);
}

}  // namespace lfm
