#include "src/model/stages.h"

#include "src/model/architecture.h"

namespace lfm {

StageTable stages(const Architecture& architecture, int height, int width) {
  const NetworkShape shape = network_shape(architecture, height, width);
  StageTable table = kStages;
  StageShape in = {kChannels[0], {height, width}};
  for (Stage& stage : table) {
    stage.in = in;
    const auto b = static_cast<std::size_t>(stage.block);
    switch (stage.kind) {
      case StageKind::front_end:
        stage.out = {kChannels[0], shape.input};
        break;
      case StageKind::block:
        stage.out = {kChannels[b + 1], shape.out[b]};
        stage.multiply_adds = std::int64_t{4} * in.channels * stage.out.channels * shape.conv[b].area();
        break;
      case StageKind::projection:
        stage.out = {kMapChannels, in.size};
        stage.multiply_adds = std::int64_t{in.channels} * kMapChannels * in.size.area();
        break;
      case StageKind::pooling:
        stage.out = {kMapChannels, {values_per_channel(architecture), 1}};
        break;
      case StageKind::head:
        stage.out = {1, {1, 1}};
        stage.multiply_adds = feature_count(architecture);
        break;
    }
    in = stage.out;
  }
  return table;
}

}  // namespace lfm
