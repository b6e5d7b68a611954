#include "src/model/architecture.h"

#include <fmt/core.h>

#include <utility>

#include "lfm/error.h"
#include "src/model/front_end.h"

namespace lfm {

NetworkShape network_shape(const Architecture& architecture, int height, int width) {
  if (height < kMinImageSide || width < kMinImageSide) {
    throw Error(ErrorCode::input, fmt::format("the image is {}x{}, smaller than the {}x{} the network needs", width, height,
                                              kMinImageSide, kMinImageSide));
  }
  NetworkShape shape;
  shape.input = front_end(architecture).input_size({height, width});
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

ParameterTable parameter_table(const Architecture& architecture) {
  ParameterTable table;
  const auto set = [&](int id, std::string name, std::string reference, std::array<int, 4> shape, int rank, int fan_in) {
    table.specs[static_cast<std::size_t>(id)] = {std::move(name), std::move(reference), shape, rank, fan_in, 0};
  };
  for (int b = 0; b < kBlocks; ++b) {
    const int ic = kChannels[b], oc = kChannels[b + 1];
    const std::string ours = fmt::format("block{}.", b + 1);
    const std::string conv = fmt::format("cnn.layer{}.0.", b + 1), norm = fmt::format("cnn.layer{}.1.", b + 1);
    set(conv_weight(b), ours + "conv.weight", conv + "weight", {oc, ic, 2, 2}, 4, 4 * ic);
    set(conv_bias(b), ours + "conv.bias", conv + "bias", {oc}, 1, 4 * ic);
    set(norm_scale(b), ours + "norm.scale", norm + "weight", {oc}, 1, 0);
    set(norm_shift(b), ours + "norm.shift", norm + "bias", {oc}, 1, 0);
    set(running_mean(b), ours + "norm.running_mean", norm + "running_mean", {oc}, 1, 0);
    set(running_var(b), ours + "norm.running_var", norm + "running_var", {oc}, 1, 0);
  }
  const int features = feature_count(architecture);
  set(kProjection, "projection.weight", "covn1_1.weight", {kMapChannels, kChannels[kBlocks], 1, 1}, 4, kChannels[kBlocks]);
  set(kHeadWeight, "head.weight", "fc1.weight", {1, features}, 2, features);
  set(kHeadBias, "head.bias", "fc1.bias", {1}, 1, features);

  constexpr std::size_t alignment = 16;  // floats: 64 bytes
  std::size_t offset = 0;
  for (int id = 0; id < kParameters; ++id) {
    if (id == kTrainable) table.trainable_floats = offset;
    ParameterSpec& spec = table.specs[static_cast<std::size_t>(id)];
    spec.offset = offset;
    offset += (spec.count() + alignment - 1) / alignment * alignment;
  }
  table.total_floats = offset;
  return table;
}

}  // namespace lfm
