#include "src/engine/cuda/training_plan.h"

#include <algorithm>

#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2x2_direct_training.h"
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/distillation.h"
#include "kernels/first_conv.h"
#include "kernels/projection_backward.h"
#include "kernels/projection_tensor.h"
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

// The largest of what each operation leaves in partial sums.
std::size_t scratch_floats(const NetworkShape& shape, int n, int height, int width, Precision precision) {
  std::size_t floats = kernels::first_conv_backward_weight_scratch(n, height, width);
  for (int b = 0; b < kBlocks; ++b) {
    floats = std::max(
        floats, kernels::batch_norm_scratch(static_cast<std::int64_t>(n) * shape.conv[b].area(), kChannels[b + 1]));
    if (b == 0) continue;
    const MapSize& in = shape.out[b - 1];
    floats = std::max(floats, conv_weight_scratch({n, in.h, in.w, kChannels[b], kChannels[b + 1]}, precision));
  }
  const int positions = n * shape.maps().area();
  return std::max({floats, kernels::projection_backward_weight_scratch(positions, kWidest),
                   kernels::projection_weight_tensor_scratch(positions, kWidest)});
}

}  // namespace

TrainingPlan plan_training(const Architecture& architecture, int n, int height, int width, Precision precision,
                           bool teacher) {
  TrainingPlan plan;
  plan.precision = precision;
  plan.n = n;
  plan.height = height;
  plan.width = width;
  plan.teacher = teacher;
  plan.shape = network_shape(architecture, height, width);
  const int k = values_per_channel(architecture);
  const MapSize& maps = plan.shape.maps();
  ArenaLayout layout(kDeviceAlignment);
  plan.pixels = layout.add("pixels", {n, height, width, 3}, sizeof(std::uint8_t));
  plan.labels = layout.add("labels", {n, 1, 1, 1}, sizeof(std::uint8_t));
  plan.keep = layout.add("kept values", {n, kMapChannels, k, 1}, sizeof(std::uint8_t));
  plan.drawn = layout.add("drawn positions", {n, kMapChannels, k, 1}, sizeof(std::int32_t));
  plan.rbld_tables = layout.add("RBLD tables", {2, k, 1, 1}, sizeof(float));
  if (teacher) {
    plan.teacher_maps = layout.add("teacher's maps", {n, kMapChannels, maps.h, maps.w}, sizeof(float));
    plan.teacher_logits = layout.add("teacher's logits", {n, 1, 1, 1}, sizeof(float));
    plan.teacher_scale = layout.add("scales of the distance", {kMapChannels + 1, 1, 1, 1}, sizeof(float));
  }
  plan.input_bytes = layout.bytes();

  const MapSize& input = plan.shape.input;
  plan.residual =
      layout.add("residual", {is_fused(architecture.front_end) ? 0 : n, input.h, input.w, kChannels[0]}, sizeof(float));
  std::size_t grad_out = 0, grad_conv = 0;
  for (int b = 0; b < kBlocks; ++b) {
    const MapSize &conv = plan.shape.conv[b], &out = plan.shape.out[b];
    const int c = kChannels[b + 1];
    plan.conv[b] = layout.add("convolution", {n, conv.h, conv.w, c}, b == 0 ? sizeof(float) : stored_bytes(precision));
    plan.out[b] = layout.add("block", {n, out.h, out.w, c}, item_bytes(precision));
    plan.statistics[b] = layout.add("statistics", {2, c, 1, 1}, sizeof(float));
    grad_out = std::max(grad_out, static_cast<std::size_t>(out.area()) * c);
    const int border = b == 0 ? 0 : 2;
    if (b > 0 || precision == Precision::bf16)
      grad_conv = std::max(grad_conv, static_cast<std::size_t>(conv.h + border) * (conv.w + border) * c);
  }
  plan.maps = layout.add("maps", {n, kMapChannels, maps.h, maps.w}, sizeof(float));
  plan.features = layout.add("features", {2, n, kMapChannels, k}, sizeof(float));
  plan.factors = layout.add("RBLD factors", {n, kMapChannels, k, 1}, sizeof(float));
  plan.topk_positions = layout.add("top-k positions", {n, kMapChannels, k, 1}, sizeof(std::int32_t));
  plan.rks_positions = layout.add("RKS positions", {n, kMapChannels, k, 1}, sizeof(std::int32_t));
  plan.results = layout.add("results", {6, n, 1, 1}, sizeof(float));
  if (teacher) {
    plan.distance_partials =
        layout.add("distances", {kernels::distillation_tiles(maps.area()), n, 1, 1}, sizeof(float));
  }
  plan.grad_logits = layout.add("gradient of the logits", {2, n, 1, 1}, sizeof(float));

  plan.grad_features = layout.add("gradient of the features", {2, n, kMapChannels, k}, sizeof(float));
  plan.grad_maps = layout.add("gradient of the maps", {n, maps.h, maps.w, kMapChannels}, sizeof(float));
  if (precision != Precision::fp32) {
    plan.rounded_grad_maps =
        layout.add("gradient of the maps, rounded", {n, maps.h, maps.w, kMapChannels}, item_bytes(precision));
  }
  plan.grad_out =
      layout.add("gradient of a block", {n, static_cast<std::int64_t>(grad_out), 1, 1}, stored_bytes(precision));
  plan.grad_conv =
      layout.add("gradient of a convolution", {n, static_cast<std::int64_t>(grad_conv), 1, 1}, item_bytes(precision));
  plan.grad_first = precision == Precision::bf16 ? plan.grad_conv : plan.conv[0];
  plan.packed = layout.add("packed weight", {4, kChannels[kBlocks - 1], kWidest, 1}, sizeof(float));
  plan.sums = layout.add("sums", {2, kWidest, 1, 1}, sizeof(double));
  plan.scratch = layout.add(
      "scratch", {static_cast<std::int64_t>(scratch_floats(plan.shape, n, height, width, precision)), 1, 1, 1},
      sizeof(float));
  plan.arena = layout.plan();
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
  plan.norm_partials =
      layout.add("norm", {kernels::adam_norm_partials(table.trainable_floats), 1, 1, 1}, sizeof(double));
  plan.arena = layout.plan();
  return plan;
}

}  // namespace lfm::inline LFM_TARGET
