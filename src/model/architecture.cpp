#include "src/model/architecture.h"

#include <fmt/core.h>

#include "lfm/error.h"

namespace lfm {

NetworkShape network_shape(const Architecture& architecture, int height, int width) {
  if (height < kMinImageSide || width < kMinImageSide) {
    throw Error(ErrorCode::input, fmt::format("the image is {}x{}, smaller than the {}x{} the network needs", width, height,
                                              kMinImageSide, kMinImageSide));
  }
  NetworkShape shape;
  shape.input = {height & ~1, width & ~1};
  MapSize size = shape.input;
  for (int b = 0; b < kBlocks; ++b) {
    shape.conv[b] = {size.h - 1, size.w - 1};
    shape.out[b] = b + 1 < kBlocks ? MapSize{shape.conv[b].h / 2, shape.conv[b].w / 2} : shape.conv[b];
    size = shape.out[b];
  }
  if (architecture.pooling == Pooling::topk && shape.maps().area() < architecture.k) {
    throw Error(ErrorCode::input, fmt::format("the image is {}x{}: its maps have {} positions, fewer than the {} to select",
                                              width, height, shape.maps().area(), architecture.k));
  }
  return shape;
}

std::array<std::int64_t, kBlocks + 2> multiply_adds(const Architecture& architecture, int height, int width) {
  const NetworkShape shape = network_shape(architecture, height, width);
  std::array<std::int64_t, kBlocks + 2> count{};
  for (int b = 0; b < kBlocks; ++b) {
    count[b] = std::int64_t{4} * kChannels[b] * kChannels[b + 1] * shape.conv[b].area();
  }
  count[kBlocks] = std::int64_t{kChannels[kBlocks]} * kMapChannels * shape.maps().area();
  count[kBlocks + 1] = feature_count(architecture);
  return count;
}

}  // namespace lfm
