#include "src/engine/cuda/training_plan.h"

#include <algorithm>
#include <span>

#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2x2_direct_training.h"
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/distillation.h"
#include "kernels/first_conv.h"
#include "kernels/padded_conv_weight.h"
#include "kernels/projection_backward.h"
#include "kernels/projection_tensor.h"
#include "kernels/stem_conv.h"
#include "src/model/front_end.h"

namespace lfm::inline LFM_TARGET {

namespace {

constexpr int kWidest = kChannels[kBlocks];

// Of kernels::Stored.
std::size_t stored_bytes(Precision precision) {
  return precision == Precision::bf16 ? sizeof(kernels::Stored<kernels::Bfloat16>) : sizeof(float);
}

std::size_t conv_weight_scratch(const kernels::Conv2x2Shape& shape, Precision precision) {
  switch (precision) {
    case Precision::bf16: return kernels::conv2x2_tensor_weight_scratch<kernels::Bfloat16>(shape);
    case Precision::tf32: return kernels::conv2x2_tensor_weight_scratch<kernels::Tf32>(shape);
    default: return kernels::conv2x2_backward_weight_scratch(shape);
  }
}

// The largest of what each operation of SNet leaves in partial sums.
std::size_t scratch_of_blocks(const TrainingPlan& plan) {
  const NetworkShape& shape = plan.shape;
  std::size_t floats = kernels::first_conv_backward_weight_scratch(plan.n, plan.height, plan.width);
  for (int b = 0; b < kBlocks; ++b) {
    floats = std::max(floats, kernels::batch_norm_scratch(static_cast<std::int64_t>(plan.n) * shape.conv[b].area(),
                                                          kChannels[b + 1]));
    if (b == 0) continue;
    const MapSize& in = shape.out[b - 1];
    floats =
        std::max(floats, conv_weight_scratch({plan.n, in.h, in.w, kChannels[b], kChannels[b + 1]}, plan.precision));
  }
  const int positions = plan.n * shape.maps().area();
  return std::max({floats, kernels::projection_backward_weight_scratch(positions, kWidest),
                   kernels::projection_weight_tensor_scratch(positions, kWidest)});
}

int largest_trunk_weight() {
  int floats = 0;
  for (const TrunkConvolution& c : kTrunkConvolutions) floats = std::max(floats, c.kernel * c.kernel * c.ic * c.oc);
  return floats;
}

std::size_t scratch_of_resnet(const TrainingPlan& plan) {
  std::size_t floats = kernels::stem_conv_backward_weight_scratch(plan.n, plan.input.h, plan.input.w);
  for (std::size_t i = 0; i < kTrunkConvolutions.size(); ++i) {
    const TrunkConvolution& c = kTrunkConvolutions[i];
    const MapSize& out = plan.resnet.size[i];
    floats = std::max(floats, kernels::batch_norm_scratch(static_cast<std::int64_t>(plan.n) * out.area(), c.oc));
    if (i == 0) continue;
    // As many positions with a stride of 1.
    floats =
        std::max(floats, kernels::padded_conv_backward_weight_scratch({plan.n, out.h, out.w, c.ic, c.oc, c.kernel, 1}));
  }
  return floats;
}

/// The regions that every trunk has, in the order in which it calls for them.
class Layout {
 public:
  Layout(TrainingPlan& plan, const Architecture& architecture)
      : plan_(plan),
        resnet_(architecture.trunk == Trunk::resnet),
        channels_(map_channels(architecture)),
        k_(values_per_channel(architecture)) {}

  void inputs() {
    const int n = plan_.n;
    plan_.pixels = add("pixels", {n, plan_.height, plan_.width, 3}, sizeof(std::uint8_t));
    plan_.labels = add("labels", {n, 1, 1, 1}, sizeof(std::uint8_t));
    plan_.keep = add("kept values", {n, channels_, k_, 1}, sizeof(std::uint8_t));
    plan_.drawn = add("drawn positions", {n, channels_, k_, 1}, sizeof(std::int32_t));
    plan_.rbld_tables = add("RBLD tables", {2, k_, 1, 1}, sizeof(float));
    if (plan_.teacher) {
      const int taught = resnet_ ? 0 : n;  // a teacher's maps are SNet's
      plan_.teacher_maps = add("teacher's maps", {taught, kMapChannels, plan_.map.h, plan_.map.w}, sizeof(float));
      plan_.teacher_logits = add("teacher's logits", {n, 1, 1, 1}, sizeof(float));
      plan_.teacher_scale = add("scales of the distance", {kMapChannels + 1, 1, 1, 1}, sizeof(float));
    }
    plan_.input_bytes = layout_.bytes();
  }

  void blocks() {
    const int n = plan_.n;
    const Precision precision = plan_.precision;
    for (int b = 0; b < kBlocks; ++b) {
      const MapSize &conv = plan_.shape.conv[b], &out = plan_.shape.out[b];
      const int c = kChannels[b + 1];
      plan_.conv[b] = add("convolution", {n, conv.h, conv.w, c}, b == 0 ? sizeof(float) : stored_bytes(precision));
      plan_.out[b] = add("block", {n, out.h, out.w, c}, item_bytes(precision));
      plan_.statistics[b] = add("statistics", {2, c, 1, 1}, sizeof(float));
    }
  }

  void resnet(const StageTable& table) {
    ResnetTrainingPlan& r = plan_.resnet;
    MapSize layer1;
    for (const Stage& stage : table) {
      const MapSize &in = stage.in.size, &out = stage.out.size;
      if (stage.kind == StageKind::stem) {
        r.stem_size = out;
        convolution(0, kTrunkConvolutions[0].out(in));
        r.stem = maps("stem", out, kStemChannels);
        r.winners = add("winners", {plan_.n, out.h, out.w, kStemChannels / 4}, sizeof(std::uint32_t));
      }
      if (stage.kind != StageKind::bottleneck) continue;
      const auto at = static_cast<std::size_t>(stage.block);
      const Bottleneck& b = kBottlenecks[at];
      const int first = first_convolution(stage.block);
      convolution(first + kReduce, in);
      r.reduced[at] = maps("reduced", in, b.middle);
      convolution(first + kSpatial, out);
      r.spatial[at] = maps("spatial", out, b.middle);
      convolution(first + kExpand, out);
      if (b.projects()) convolution(first + kShortcut, out);
      r.out[at] = maps(b.name, out, b.out());
      if (stage.block < kLayer1End) layer1 = out;
    }
    r.grad_stem = maps("gradient of the stem", r.stem_size, kStemChannels);
    r.grad_layer1 = maps("gradient of layer1", layer1, kBottlenecks[kLayer1End - 1].out());
    r.grad_reduced = largest("gradient of reduced", r.reduced);
    r.grad_spatial = largest("gradient of spatial", r.spatial);
    r.spread = maps("gradient, spread", layer1, kBottlenecks[kLayer1End].middle);
  }

  void pooling_and_head() {
    const int n = plan_.n;
    const MapSize& map = plan_.map;
    plan_.maps = add("maps", {n, channels_, map.h, map.w}, sizeof(float));
    plan_.features = add("features", {2, n, channels_, k_}, sizeof(float));
    plan_.factors = add("RBLD factors", {n, channels_, k_, 1}, sizeof(float));
    plan_.topk_positions = add("top-k positions", {n, channels_, k_, 1}, sizeof(std::int32_t));
    plan_.rks_positions = add("RKS positions", {n, channels_, k_, 1}, sizeof(std::int32_t));
    plan_.results = add("results", {6, n, 1, 1}, sizeof(float));
    if (plan_.teacher) {
      plan_.distance_partials = add("distances", {kernels::distillation_tiles(map.area()), n, 1, 1}, sizeof(float));
    }
    plan_.grad_logits = add("gradient of the logits", {2, n, 1, 1}, sizeof(float));
    plan_.grad_features = add("gradient of the features", {2, n, channels_, k_}, sizeof(float));
    plan_.grad_maps = add("gradient of the maps", {n, map.h, map.w, channels_}, sizeof(float));
  }

  void gradients_of_blocks() {
    const int n = plan_.n;
    const Precision precision = plan_.precision;
    if (precision != Precision::fp32) {
      plan_.rounded_grad_maps =
          add("gradient of the maps, rounded", {n, plan_.map.h, plan_.map.w, kMapChannels}, item_bytes(precision));
    }
    std::int64_t grad_out = 0, grad_conv = 0;
    for (int b = 0; b < kBlocks; ++b) {
      const MapSize &conv = plan_.shape.conv[b], &out = plan_.shape.out[b];
      const std::int64_t c = kChannels[b + 1];
      grad_out = std::max(grad_out, out.area() * c);
      const int border = b == 0 ? 0 : 2;
      if (b > 0 || precision == Precision::bf16)
        grad_conv = std::max(grad_conv, (conv.h + border) * (conv.w + border) * c);
    }
    plan_.grad_out = add("gradient of a block", {n, grad_out, 1, 1}, stored_bytes(precision));
    plan_.grad_conv = add("gradient of a convolution", {n, grad_conv, 1, 1}, item_bytes(precision));
    plan_.grad_first = precision == Precision::bf16 ? plan_.grad_conv : plan_.conv[0];
  }

  void working_memory() {
    plan_.packed =
        add("packed weight", {resnet_ ? largest_trunk_weight() : 4 * kChannels[kBlocks - 1] * kWidest, 1, 1, 1},
            sizeof(float));
    plan_.sums = add("sums", {2, kWidest, 1, 1}, sizeof(double));
    const std::size_t scratch = resnet_ ? scratch_of_resnet(plan_) : scratch_of_blocks(plan_);
    plan_.scratch = add("scratch", {static_cast<std::int64_t>(scratch), 1, 1, 1}, sizeof(float));
    plan_.arena = layout_.plan();
  }

  void residual(bool in_memory) {
    plan_.residual =
        add("residual", {in_memory ? plan_.n : 0, plan_.input.h, plan_.input.w, kChannels[0]}, sizeof(float));
  }

 private:
  Region add(const char* name, std::array<std::int64_t, 4> shape, std::size_t item_bytes) {
    return layout_.add(name, shape, item_bytes);
  }
  Region maps(const char* name, const MapSize& size, int channels) {
    return add(name, {plan_.n, size.h, size.w, channels}, sizeof(float));
  }
  void convolution(int i, const MapSize& size) {
    const auto at = static_cast<std::size_t>(i);
    const int channels = kTrunkConvolutions[at].oc;
    plan_.resnet.size[at] = size;
    plan_.resnet.conv[at] = maps("convolution", size, channels);
    plan_.resnet.statistics[at] = add("statistics", {2, channels, 1, 1}, sizeof(float));
  }
  Region largest(const char* name, std::span<const Region> regions) {
    const Region& largest = *std::ranges::max_element(regions, {}, [](const Region& r) { return r.count(); });
    return add(name, largest.shape, sizeof(float));
  }

  TrainingPlan& plan_;
  ArenaLayout layout_{kDeviceAlignment};
  bool resnet_;
  int channels_, k_;
};

}  // namespace

TrainingPlan plan_training(const Architecture& architecture, int n, int height, int width, Precision precision,
                           bool teacher) {
  TrainingPlan plan;
  plan.precision = precision;
  plan.n = n;
  plan.height = height;
  plan.width = width;
  plan.teacher = teacher;
  plan.input = front_end(architecture).input_size({height, width});
  plan.map = map_size(architecture, height, width);
  const bool resnet = architecture.trunk == Trunk::resnet;
  if (!resnet) plan.shape = network_shape(architecture, height, width);

  Layout layout(plan, architecture);
  layout.inputs();
  layout.residual(!is_fused(architecture));
  resnet ? layout.resnet(stages(architecture, height, width)) : layout.blocks();
  layout.pooling_and_head();
  if (!resnet) layout.gradients_of_blocks();
  layout.working_memory();
  return plan;
}

TrainingStatePlan plan_training_state(const ParameterTable& table) {
  const auto total = static_cast<std::int64_t>(table.total_floats),
             trainable = static_cast<std::int64_t>(table.trainable_floats);
  TrainingStatePlan plan;
  ArenaLayout layout(kDeviceAlignment);
  plan.parameters = layout.add("parameters", {total, 1, 1, 1}, sizeof(float));
  plan.gradients = layout.add("gradients", {trainable, 1, 1, 1}, sizeof(float));
  plan.m = layout.add("first moments", {trainable, 1, 1, 1}, sizeof(float));
  plan.v = layout.add("second moments", {trainable, 1, 1, 1}, sizeof(float));
  plan.zeros = layout.add("zeros", {kResnetMapChannels, 1, 1, 1}, sizeof(float));
  plan.norm_partials =
      layout.add("norm", {kernels::adam_norm_partials(table.trainable_floats), 1, 1, 1}, sizeof(double));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm::inline LFM_TARGET
