#include "src/model/onnx.h"

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/io/atomic_file.h"
#include "src/model/architecture.h"
#include "src/model/fold.h"
#include "src/model/weight_file.h"

namespace lfm {
namespace {

constexpr int kOpset = 17;
constexpr int kIrVersion = 8;  // the one that came with opset 17

/// A message of Protocol Buffers being written: fields one after the other, each with its number.
class Message {
 public:
  Message& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& written() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// Numbers of onnx.proto.
enum OnnxType : std::uint64_t { kFloat = 1, kUint8 = 2, kInt64 = 7 };

using Names = std::initializer_list<std::string_view>;
using Integers = std::initializer_list<std::int64_t>;

/// An attribute of a node: an integer, a text, or a list of integers.
Message attribute(std::string_view name, std::int64_t value) {
  constexpr std::uint64_t integer = 2;
  return std::move(Message().bytes(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, integer));
}
Message attribute(std::string_view name, std::string_view value) {
  constexpr std::uint64_t text = 3;
  return std::move(Message().bytes(1, name).bytes(4, value).number(20, text));
}
Message attribute(std::string_view name, Integers values) {
  constexpr std::uint64_t integers = 7;
  Message message;
  message.bytes(1, name);
  for (const std::int64_t value : values) message.number(8, static_cast<std::uint64_t>(value));
  return std::move(message.number(20, integers));
}

/// The graph: nodes in the order in which they run, and their constants.
class Graph {
 public:
  /// One operator: outputs = op(inputs). Its name is that of its first output.
  void node(std::string_view op, Names inputs, Names outputs, std::initializer_list<Message> attributes = {}) {
    Message node;
    for (const std::string_view input : inputs) node.bytes(1, input);
    for (const std::string_view output : outputs) node.bytes(2, output);
    node.bytes(3, *outputs.begin()).bytes(4, op);
    for (const Message& one : attributes) node.message(5, one);
    graph_.message(1, node);
  }

  void constant(std::string_view name, Integers shape, std::span<const float> values) {
    tensor(name, shape, kFloat, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  void constant(std::string_view name, Integers values) {
    tensor(name, {static_cast<std::int64_t>(values.size())}, kInt64,
           {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(std::int64_t)});
  }

  /// A dimension is a number, or the name of one that is known when the network runs.
  void input(std::string_view name, OnnxType type, Names dimensions) {
    graph_.message(11, value(name, type, dimensions));
  }
  void output(std::string_view name, OnnxType type, Names dimensions) {
    graph_.message(12, value(name, type, dimensions));
  }

  Message named(std::string_view name) { return std::move(graph_.bytes(2, name)); }

 private:
  void tensor(std::string_view name, Integers shape, OnnxType type, std::string_view little_endian) {
    Message tensor;
    for (const std::int64_t side : shape) tensor.number(1, static_cast<std::uint64_t>(side));
    graph_.message(5, tensor.number(2, type).bytes(8, name).bytes(9, little_endian));
  }

  static Message value(std::string_view name, OnnxType type, Names dimensions) {
    Message shape;
    for (const std::string_view dimension : dimensions) {
      const bool is_number = dimension == "3";
      shape.message(1, is_number ? Message().number(1, 3) : Message().bytes(2, dimension));
    }
    return std::move(
        Message().bytes(1, name).message(2, Message().message(1, Message().number(1, type).message(2, shape))));
  }

  Message graph_;
};

/// "picture" -> "residual": x - up(down(x)), of SNet without its sign, of the even part of the picture.
void add_nearest_residual(Graph& graph, bool has_sign) {
  graph.constant("two", {2});
  graph.constant("spatial_axes", {2, 3});
  graph.constant("origin", {0, 0});
  graph.constant("every_second", {2, 2});
  graph.constant("first_spatial", {2});
  graph.constant("last_spatial", {4});
  graph.constant("shape_axis", {0});
  // An odd last row or column is dropped.
  graph.node("Shape", {"picture"}, {"picture_shape"});
  graph.node("Slice", {"picture_shape", "first_spatial", "last_spatial", "shape_axis"}, {"size"});
  graph.node("Div", {"size", "two"}, {"cells"});
  graph.node("Mul", {"cells", "two"}, {"even_size"});
  graph.node("Slice", {"picture", "origin", "even_size", "spatial_axes"}, {"even"});
  graph.node("Slice", {"even", "origin", "even_size", "spatial_axes", "every_second"}, {"down"});
  constexpr std::array<float, 4> scales = {1, 1, 2, 2};
  graph.constant("scales", {4}, scales);
  graph.node("Resize", {"down", "", "scales"}, {"up"},
             {attribute("mode", "nearest"), attribute("coordinate_transformation_mode", "asymmetric"),
              attribute("nearest_mode", "floor")});
  graph.node("Sub", {"even", "up"}, {has_sign ? "residual" : "difference"});
  if (!has_sign) graph.node("Abs", {"difference"}, {"residual"});
}

/// The picture mirrored at both ends of an axis, by two values and by three; returns what it is called. No operator
/// that pads repeats the values at the border.
std::string add_mirrored(Graph& graph, const std::string& from, std::int64_t axis) {
  const std::string name = axis == 2 ? "mirrored.rows" : "mirrored";
  graph.constant(name + ".axis", {axis});
  graph.node("Slice", {from, "second", "before_first", name + ".axis", "backwards"}, {name + ".before"});
  graph.node("Slice", {from, "last", "fourth_from_last", name + ".axis", "backwards"}, {name + ".after"});
  graph.node("Concat", {name + ".before", from, name + ".after"}, {name}, {attribute("axis", axis)});
  return name;
}

/// "picture" -> "residual": the diagonal band of Haar's transform, at the picture's size again.
void add_haar_residual(Graph& graph) {
  graph.constant("second", {1});
  graph.constant("before_first", {std::numeric_limits<std::int64_t>::min()});
  graph.constant("last", {-1});
  graph.constant("fourth_from_last", {-4});
  graph.constant("backwards", {-1});
  constexpr std::array<float, 12> taps = {0.5f, -0.5f, -0.5f, 0.5f, 0.5f, -0.5f, -0.5f, 0.5f, 0.5f, -0.5f, -0.5f, 0.5f};
  graph.constant("haar.weight", {3, 1, 2, 2}, taps);
  graph.node("Conv", {add_mirrored(graph, add_mirrored(graph, "picture", 2), 3), "haar.weight"}, {"band"},
             {attribute("kernel_shape", Integers{2, 2}), attribute("strides", Integers{2, 2}), attribute("group", 3)});
  graph.node("Shape", {"picture"}, {"picture_shape"});
  graph.node("Resize", {"band", "", "", "picture_shape"}, {"residual"},
             {attribute("mode", "linear"), attribute("coordinate_transformation_mode", "half_pixel")});
}

/// "picture" -> "residual": the picture itself, less the mean.
void add_centred_picture(Graph& graph) {
  std::array<float, 3> mean;
  for (std::size_t c = 0; c < mean.size(); ++c) mean[c] = static_cast<float>(255 * kPixelMean[c]);
  graph.constant("mean", {1, 3, 1, 1}, mean);
  graph.node("Sub", {"picture", "mean"}, {"residual"});
}

/// pixels -> "residual", in grey levels, NCHW.
void add_residual(Graph& graph, FrontEnd front_end) {
  graph.node("Cast", {"pixels"}, {"values"}, {attribute("to", kFloat)});
  graph.node("Transpose", {"values"}, {"picture"}, {attribute("perm", Integers{0, 3, 1, 2})});
  switch (front_end) {
    case FrontEnd::npr: return add_nearest_residual(graph, false);
    case FrontEnd::npr_signed: return add_nearest_residual(graph, true);
    case FrontEnd::haar_hh: return add_haar_residual(graph);
    case FrontEnd::none: return add_centred_picture(graph);
  }
}

/// "residual" -> "maps": four blocks and the 1x1 convolution.
void add_trunk(Graph& graph, const Architecture& architecture, const ParameterTable& table,
               std::span<const float> values) {
  std::string from = "residual";
  const auto folded = fold_blocks(architecture, values);
  for (int block = 0; block < kBlocks; ++block) {
    const FoldedBlock& weights = folded[static_cast<std::size_t>(block)];
    const std::string name = fmt::format("block{}", block + 1);
    graph.constant(name + ".weight", {kChannels[block + 1], kChannels[block], 2, 2}, weights.weight);
    graph.constant(name + ".bias", {kChannels[block + 1]}, weights.bias);
    graph.node("Conv", {from, name + ".weight", name + ".bias"}, {name + ".conv"},
               {attribute("kernel_shape", Integers{2, 2})});
    graph.node("Relu", {name + ".conv"}, {name + ".relu"});
    from = name + ".relu";
    if (block + 1 == kBlocks) break;
    graph.node("MaxPool", {from}, {name + ".pool"},
               {attribute("kernel_shape", Integers{2, 2}), attribute("strides", Integers{2, 2})});
    from = name + ".pool";
  }
  graph.constant("projection.weight", {kMapChannels, kChannels[kBlocks], 1, 1}, parameter(values, table, kProjection));
  graph.node("Conv", {from, "projection.weight"}, {"maps"}, {attribute("kernel_shape", Integers{1, 1})});
}

/// A convolution of the ResNet trunk with its batch norm; returns what it is called.
std::string add_convolution(Graph& graph, const Architecture& architecture, std::span<const float> values,
                            int convolution, const std::string& from) {
  const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
  const FoldedBlock folded = fold_convolution(architecture, values, convolution);
  const std::string name =
      c.bottleneck < 0 ? c.name
                       : fmt::format("{}.{}", kBottlenecks[static_cast<std::size_t>(c.bottleneck)].name, c.name);
  const std::int64_t kernel = c.kernel, stride = c.stride, border = c.kernel / 2;
  graph.constant(name + ".weight", {c.oc, c.ic, kernel, kernel}, folded.weight);
  graph.constant(name + ".bias", {c.oc}, folded.bias);
  graph.node("Conv", {from, name + ".weight", name + ".bias"}, {name},
             {attribute("kernel_shape", Integers{kernel, kernel}), attribute("strides", Integers{stride, stride}),
              attribute("pads", Integers{border, border, border, border})});
  return name;
}

std::string add_relu(Graph& graph, const std::string& from) {
  graph.node("Relu", {from}, {from + ".relu"});
  return from + ".relu";
}

/// "residual" -> "maps": the stem and the bottlenecks.
void add_resnet(Graph& graph, const Architecture& architecture, std::span<const float> values) {
  const std::string stem = add_relu(graph, add_convolution(graph, architecture, values, 0, "residual"));
  graph.node("MaxPool", {stem}, {"stem"},
             {attribute("kernel_shape", Integers{3, 3}), attribute("strides", Integers{2, 2}),
              attribute("pads", Integers{1, 1, 1, 1})});
  std::string from = "stem";
  for (std::size_t b = 0; b < kBottlenecks.size(); ++b) {
    const int first = first_convolution(static_cast<int>(b));
    const auto convolve = [&](int part, const std::string& in) {
      return add_convolution(graph, architecture, values, first + part, in);
    };
    const std::string expanded =
        convolve(kExpand, add_relu(graph, convolve(kSpatial, add_relu(graph, convolve(kReduce, from)))));
    const std::string shortcut = kBottlenecks[b].projects() ? convolve(kShortcut, from) : from;
    const std::string name = kBottlenecks[b].name;
    graph.node("Add", {expanded, shortcut}, {name + ".sum"});
    from = b + 1 < kBottlenecks.size() ? name : "maps";
    graph.node("Relu", {name + ".sum"}, {from});
  }
}

/// "maps" -> "logits".
void add_head(Graph& graph, const Architecture& architecture, std::span<const float> values) {
  const LinearHead head = linear_head(architecture, values);
  const std::vector<float> weight(head.weight.begin(), head.weight.end());
  const float bias = static_cast<float>(head.bias);
  graph.constant("flat_features", {0, feature_count(architecture)});
  graph.constant("flat", {-1});
  if (architecture.pooling == Pooling::topk) {
    graph.constant("k", {architecture.k});
    graph.constant("flat_maps", {0, map_channels(architecture), -1});
    graph.node("Reshape", {"maps", "flat_maps"}, {"positions"});
    graph.node("TopK", {"positions", "k"}, {"pooled", "places"},
               {attribute("axis", -1), attribute("largest", 1), attribute("sorted", 1)});
  } else {
    graph.node("GlobalAveragePool", {"maps"}, {"pooled"});
  }
  graph.node("Reshape", {"pooled", "flat_features"}, {"features"});
  graph.constant("head.weight", {1, feature_count(architecture)}, weight);
  graph.constant("head.bias", {1}, std::span(&bias, 1));
  graph.node("Gemm", {"features", "head.weight", "head.bias"}, {"head"}, {attribute("transB", 1)});
  graph.node("Reshape", {"head", "flat"}, {"logits"});
}

}  // namespace

void export_onnx(const Model& model, const std::filesystem::path& path) {
  const ParameterTable table = parameter_table(model.architecture);
  Graph graph;
  graph.input("pixels", kUint8, {"batch", "height", "width", "3"});
  graph.output("logits", kFloat, {"batch"});
  add_residual(graph, model.architecture.front_end);
  if (model.architecture.trunk == Trunk::resnet) {
    add_resnet(graph, model.architecture, model.values);
  } else {
    add_trunk(graph, model.architecture, table, model.values);
  }
  add_head(graph, model.architecture, model.values);
  Message file;
  file.number(1, kIrVersion).bytes(2, "lfm-cuda");
  file.message(7, graph.named(model.name.empty() ? "lfm" : model.name));
  file.message(8, Message().bytes(1, "").number(2, kOpset));
  file.message(14, Message().bytes(1, "lfm").bytes(2, model_header(model).dump()));
  write_file_atomically(path, file.written());
}

}  // namespace lfm
