#include "src/model/architecture.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "lfm/error.h"
#include "src/model/front_end.h"

namespace lfm {

void check_image_size(int height, int width) {
  if (height < kMinImageSide || width < kMinImageSide) {
    throw Error(ErrorCode::input, fmt::format("the image is {}x{}, smaller than the {}x{} the network needs", width,
                                              height, kMinImageSide, kMinImageSide));
  }
}

void check_positions(const Architecture& architecture, int height, int width, const MapSize& maps) {
  if (architecture.pooling == Pooling::topk && maps.area() < architecture.k) {
    throw Error(ErrorCode::input,
                fmt::format("the image is {}x{}: its maps have {} positions, fewer than the {} to select", width,
                            height, maps.area(), architecture.k));
  }
}

const Contradiction* contradiction(const Architecture& architecture) {
  static constexpr std::array<Contradiction, 3> rows = {{
      {[](const Architecture& a) { return a.trunk == Trunk::snet && a.head == Head::softmax; },
       "SNet's trunk and a softmax of two outputs, which no network of its kind has",
       "--network safe with --trunk resnet; SAFE's residual on SNet is --network lfm --residual haar_hh"},
      {[](const Architecture& a) { return a.trunk == Trunk::snet && a.normalisation == Normalisation::unit; },
       "SNet's trunk and pixels that are only divided by 255, which is for differences of pixels and the ResNet trunk",
       "--network lfm"},
      {[](const Architecture& a) { return a.front_end == FrontEnd::none && a.normalisation == Normalisation::unit; },
       "the pixels themselves, only divided by 255, which is for differences of pixels and the ResNet trunk",
       "--network npr --residual none, whose pixels have mean and deviation taken away"},
  }};
  const auto found = std::ranges::find_if(rows, [&](const Contradiction& row) { return row.holds(architecture); });
  return found == rows.end() ? nullptr : &*found;
}

NetworkShape network_shape(const Architecture& architecture, int height, int width) {
  check_image_size(height, width);
  NetworkShape shape;
  shape.input = front_end(architecture).input_size({height, width});
  MapSize size = shape.input;
  for (int b = 0; b < kBlocks; ++b) {
    shape.conv[b] = {size.h - 1, size.w - 1};
    shape.out[b] = b + 1 < kBlocks ? MapSize{shape.conv[b].h / 2, shape.conv[b].w / 2} : shape.conv[b];
    size = shape.out[b];
  }
  check_positions(architecture, height, width, shape.maps());
  return shape;
}

MapSize map_size(const Architecture& architecture, int height, int width) {
  if (architecture.trunk == Trunk::snet) return network_shape(architecture, height, width).maps();
  const StageTable table = stages(architecture, height, width);
  return std::ranges::find(table, StageKind::pooling, &Stage::kind)->in.size;
}

namespace {

/// Sets the rows of a table one by one, in any order.
struct TableWriter {
  ParameterTable table;

  void set(int id, std::string name, std::string reference, std::array<int, 4> shape, int rank, int fan_in) {
    table.specs[static_cast<std::size_t>(id)] = {std::move(name), std::move(reference), shape, rank, fan_in};
  }
  /// A batch norm's four.
  void set_norm(int scale, int shift, int mean, int variance, const std::string& ours, const std::string& reference,
                int channels) {
    set(scale, ours + "scale", reference + "weight", {channels}, 1, 0);
    set(shift, ours + "shift", reference + "bias", {channels}, 1, 0);
    set(mean, ours + "running_mean", reference + "running_mean", {channels}, 1, 0);
    set(variance, ours + "running_var", reference + "running_var", {channels}, 1, 0);
    for (const int id : {scale, variance}) table.specs[static_cast<std::size_t>(id)].initial = 1;
    table.specs[static_cast<std::size_t>(variance)].is_variance = true;
  }
};

void set_snet(TableWriter& rows) {
  for (int b = 0; b < kBlocks; ++b) {
    const int ic = kChannels[b], oc = kChannels[b + 1];
    const std::string ours = fmt::format("block{}.", b + 1);
    const std::string conv = fmt::format("cnn.layer{}.0.", b + 1), norm = fmt::format("cnn.layer{}.1.", b + 1);
    rows.set(conv_weight(b), ours + "conv.weight", conv + "weight", {oc, ic, 2, 2}, 4, 4 * ic);
    rows.set(conv_bias(b), ours + "conv.bias", conv + "bias", {oc}, 1, 4 * ic);
    rows.set_norm(norm_scale(b), norm_shift(b), running_mean(b), running_var(b), ours + "norm.", norm, oc);
  }
  rows.set(kProjection, "projection.weight", "covn1_1.weight", {kMapChannels, kChannels[kBlocks], 1, 1}, 4,
           kChannels[kBlocks]);
}

void set_resnet(TableWriter& rows) {
  for (int i = 0; i < trunk_convolution_count(); ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(i)];
    const std::string prefix =
        c.bottleneck < 0 ? "" : std::string(kBottlenecks[static_cast<std::size_t>(c.bottleneck)].name) + ".";
    const std::string conv = prefix + c.name + ".", norm = prefix + c.norm_name + ".";
    rows.set(trunk_weight(i), conv + "weight", conv + "weight", {c.oc, c.ic, c.kernel, c.kernel}, 4,
             c.ic * c.kernel * c.kernel);
    rows.set_norm(trunk_scale(i), trunk_shift(i), trunk_mean(i), trunk_variance(i), norm, norm, c.oc);
  }
}

}  // namespace

ParameterTable parameter_table(const Architecture& architecture) {
  const bool resnet = architecture.trunk == Trunk::resnet;
  TableWriter rows;
  rows.table.trainable = resnet ? kResnetTrainable : static_cast<int>(kTrainable);
  rows.table.specs.resize(static_cast<std::size_t>(resnet ? trunk_variance(trunk_convolution_count() - 1) + 1
                                                          : static_cast<int>(kParameters)));
  resnet ? set_resnet(rows) : set_snet(rows);
  const int features = feature_count(architecture), outputs = output_count(architecture);
  rows.set(rows.table.head_weight(), "head.weight", "fc1.weight", {outputs, features}, 2, features);
  rows.set(rows.table.head_bias(), "head.bias", "fc1.bias", {outputs}, 1, features);

  ParameterTable table = std::move(rows.table);

  constexpr std::size_t alignment = 16;  // floats: 64 bytes
  std::size_t offset = 0;
  for (int id = 0; id < table.size(); ++id) {
    if (id == table.trainable) table.trainable_floats = offset;
    ParameterSpec& spec = table.specs[static_cast<std::size_t>(id)];
    spec.offset = offset;
    offset += (spec.count() + alignment - 1) / alignment * alignment;
  }
  table.total_floats = offset;
  return table;
}

LinearHead linear_head(const Architecture& architecture, std::span<const float> values) {
  const ParameterTable table = parameter_table(architecture);
  const auto weight = parameter(values, table, table.head_weight()), bias = parameter(values, table, table.head_bias());
  LinearHead head{{weight.begin(), weight.begin() + feature_count(architecture)}, bias[0]};
  if (architecture.head == Head::linear) return head;
  for (std::size_t f = 0; f < head.weight.size(); ++f)
    head.weight[f] = double{weight[head.weight.size() + f]} - double{weight[f]};
  head.bias = double{bias[1]} - double{bias[0]};
  return head;
}

}  // namespace lfm
