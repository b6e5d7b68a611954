// Training: the stem and the bottlenecks of the ResNet trunk (model/resnet.h), in FP32.
//
// Every convolution keeps its output before batch norm; on the way back its gradient takes that place, as soon as batch
// norm has gone backward. What lies behind ReLU is kept too. A gradient has one place for the stem and one for each
// layer: bottlenecks that keep their shape pass it on in place.
#include "kernels/join.h"
#include "kernels/padded_conv.h"
#include "kernels/padded_conv_weight.h"
#include "kernels/spread.h"
#include "kernels/stem_conv.h"
#include "kernels/stem_pool.h"
#include "kernels/transpose.h"
#include "src/engine/cuda/training.h"

namespace lfm::inline LFM_TARGET {

namespace {

const TrunkConvolution& trunk_row(int convolution) { return kTrunkConvolutions[static_cast<std::size_t>(convolution)]; }

const Bottleneck& bottleneck_row(int b) { return kBottlenecks[static_cast<std::size_t>(b)]; }

}  // namespace

kernels::BatchNorm<float> CudaTraining::trunk_norm(int i) const {
  const auto row = static_cast<std::size_t>(i);
  const MapSize& size = plan_.resnet.size[row];
  return {.x = at(plan_.resnet.conv[row]),
          .statistics = at(plan_.resnet.statistics[row]),
          .scale = parameter_at(trunk_scale(i)),
          .shift = parameter_at(trunk_shift(i)),
          .n = n_,
          .h = size.h,
          .w = size.w,
          .c = trunk_row(i).oc};
}

CudaTraining::TrunkMap CudaTraining::input_of(int b) const {
  const ResnetTrainingPlan& plan = plan_.resnet;
  if (b == 0) return {at(plan.stem), plan.stem_size};
  const auto before = static_cast<std::size_t>(b) - 1;
  return {at(plan.out[before]), plan.size[static_cast<std::size_t>(first_convolution(b - 1) + kExpand)]};
}

// Of a bottleneck's output; -1: of the stem's.
float* CudaTraining::gradient_behind(int b) const {
  if (b < 0) return at(plan_.resnet.grad_stem);
  return at(b < kLayer1End ? plan_.resnet.grad_layer1 : plan_.grad_maps);
}

// ---- forward ----

void CudaTraining::take_trunk_statistics(int i) {
  const auto row = static_cast<std::size_t>(i);
  const ResnetTrainingPlan& plan = plan_.resnet;
  take_statistics(at(plan.conv[row]), plan.size[row].area(), trunk_row(i).oc, plan.statistics[row], trunk_mean(i),
                  trunk_variance(i), nullptr);
}

void CudaTraining::forward_stem() {
  const ResnetTrainingPlan& plan = plan_.resnet;
  kernels::stem_conv(at(plan.conv[0]), stored_residual(), parameter_at(trunk_weight(0)), stream_.handle());
  take_trunk_statistics(0);
  kernels::stem_pool(at(plan.stem), at<std::uint32_t>(plan.winners), trunk_norm(0), stream_.handle());
}

void CudaTraining::convolve_trunk(int i, const TrunkMap& in) {
  const TrunkConvolution& c = trunk_row(i);
  kernels::padded_conv({.output = at(plan_.resnet.conv[static_cast<std::size_t>(i)]),
                        .input = in.data,
                        .weight = parameter_at(trunk_weight(i)),
                        .bias = in_state(state_plan_.zeros),
                        .n = n_,
                        .h = in.size.h,
                        .w = in.size.w,
                        .ic = c.ic,
                        .oc = c.oc,
                        .kernel = c.kernel,
                        .stride = c.stride,
                        .relu = false},
                       stream_.handle());
  take_trunk_statistics(i);
}

void CudaTraining::forward_bottleneck(int b) {
  const ResnetTrainingPlan& plan = plan_.resnet;
  const auto row = static_cast<std::size_t>(b);
  const int first = first_convolution(b);
  const TrunkMap x = input_of(b), reduced{at(plan.reduced[row]), x.size};
  const TrunkMap spatial{at(plan.spatial[row]), plan.size[static_cast<std::size_t>(first + kSpatial)]};
  float* const out = at(plan.out[row]);
  convolve_trunk(first + kReduce, x);
  kernels::batch_norm_relu(reduced.data, trunk_norm(first + kReduce), stream_.handle());
  convolve_trunk(first + kSpatial, reduced);
  kernels::batch_norm_relu(spatial.data, trunk_norm(first + kSpatial), stream_.handle());
  convolve_trunk(first + kExpand, spatial);
  if (bottleneck_row(b).projects()) {
    convolve_trunk(first + kShortcut, x);
    kernels::join(out, trunk_norm(first + kExpand), trunk_norm(first + kShortcut), stream_.handle());
  } else {
    kernels::join(out, trunk_norm(first + kExpand), x.data, stream_.handle());
  }
  if (row + 1 < kBottlenecks.size()) return;
  kernels::transpose(at(plan_.maps), out, n_, plan_.map.area(), channels(), false, stream_.handle());
}

// ---- backward ----

// grad, behind batch norm and, with relu, behind that -> the gradients of its scale and shift, and that of the
// convolution's output, in the output's place.
void CudaTraining::backward_trunk_norm(int i, const float* grad, bool relu, GradientMode mode) {
  kernels::BatchNorm<float> norm = trunk_norm(i);
  norm.relu = relu;
  auto* const sums = at<double>(plan_.sums);
  kernels::batch_norm_relu_backward_sums(sums, gradient_at(trunk_scale(i)), gradient_at(trunk_shift(i)),
                                         at(plan_.scratch), norm, grad, mode == GradientMode::accumulate,
                                         stream_.handle());
  sum_over_processes(sums, std::size_t{2} * norm.c);
  kernels::batch_norm_relu_backward(at(plan_.resnet.conv[static_cast<std::size_t>(i)]), at(plan_.scratch), norm, grad,
                                    sums, images_times(norm.h * norm.w), 0, stream_.handle());
}

// After backward_trunk_norm(), as the next one.
void CudaTraining::backward_trunk_weight(int i, const TrunkMap& in, GradientMode mode) {
  const TrunkConvolution& c = trunk_row(i);
  kernels::padded_conv_backward_weight(
      gradient_at(trunk_weight(i)), at(plan_.scratch), in.data, at(plan_.resnet.conv[static_cast<std::size_t>(i)]),
      {n_, in.size.h, in.size.w, c.ic, c.oc, c.kernel, c.stride}, mode == GradientMode::accumulate, stream_.handle());
}

// grad_in = the gradient of the convolution's input [+ shortcut, which may be grad_in]. A stride puts positions apart:
// before windows of several, else behind, where there are fewer channels.
void CudaTraining::backward_trunk_input(int i, const TrunkMap& grad_in, const float* shortcut) {
  const TrunkConvolution& c = trunk_row(i);
  float* const apart = at(plan_.resnet.spread);
  const bool is_apart = c.stride > 1, before = is_apart && c.kernel > 1;
  const float* grad = at(plan_.resnet.conv[static_cast<std::size_t>(i)]);
  const MapSize& size = before ? grad_in.size : plan_.resnet.size[static_cast<std::size_t>(i)];
  if (before) {
    kernels::spread(apart, grad, n_, size.h, size.w, c.oc, stream_.handle());
    grad = apart;
  }
  kernels::transpose(at(plan_.packed), parameter_at(trunk_weight(i)), c.kernel * c.kernel, c.ic, c.oc, true,
                     stream_.handle());
  kernels::padded_conv({.output = is_apart && !before ? apart : grad_in.data,
                        .input = grad,
                        .weight = at(plan_.packed),
                        .bias = in_state(state_plan_.zeros),
                        .shortcut = shortcut,
                        .n = n_,
                        .h = size.h,
                        .w = size.w,
                        .ic = c.oc,
                        .oc = c.ic,
                        .kernel = c.kernel,
                        .relu = false},
                       stream_.handle());
  if (is_apart && !before) {
    kernels::spread(grad_in.data, apart, n_, grad_in.size.h, grad_in.size.w, c.ic, stream_.handle());
  }
}

void CudaTraining::backward_bottleneck(int b, GradientMode mode) {
  const ResnetTrainingPlan& plan = plan_.resnet;
  const auto row = static_cast<std::size_t>(b);
  const int first = first_convolution(b);
  const bool projects = bottleneck_row(b).projects();
  const MapSize& size = plan.size[static_cast<std::size_t>(first + kExpand)];
  const TrunkMap x = input_of(b), grad_in{gradient_behind(b - 1), x.size};
  const TrunkMap reduced{at(plan.reduced[row]), x.size}, grad_reduced{at(plan.grad_reduced), x.size};
  const TrunkMap spatial{at(plan.spatial[row]), size}, grad_spatial{at(plan.grad_spatial), size};
  float* const grad = gradient_behind(b);
  kernels::join_backward(grad, at(plan.out[row]),
                         static_cast<std::size_t>(n_) * static_cast<std::size_t>(size.area() * bottleneck_row(b).out()),
                         stream_.handle());
  backward_trunk_norm(first + kExpand, grad, false, mode);
  if (projects) backward_trunk_norm(first + kShortcut, grad, false, mode);

  backward_trunk_weight(first + kExpand, spatial, mode);
  backward_trunk_input(first + kExpand, grad_spatial);
  backward_trunk_norm(first + kSpatial, grad_spatial.data, true, mode);
  backward_trunk_weight(first + kSpatial, reduced, mode);
  backward_trunk_input(first + kSpatial, grad_reduced);
  backward_trunk_norm(first + kReduce, grad_reduced.data, true, mode);
  backward_trunk_weight(first + kReduce, x, mode);
  if (projects) {
    backward_trunk_weight(first + kShortcut, x, mode);
    backward_trunk_input(first + kShortcut, grad_in);
  }
  backward_trunk_input(first + kReduce, grad_in, grad_in.data);  // which has the shortcut's, in place where it is x
}

void CudaTraining::backward_stem(GradientMode mode) {
  const ResnetTrainingPlan& plan = plan_.resnet;
  const MapSize& size = plan.size[0];
  float* const grad = at(plan.grad_layer1);  // has room for it, and is not needed any more
  kernels::stem_pool_backward(grad, at(plan.grad_stem), at<std::uint32_t>(plan.winners), n_, size.h, size.w,
                              kStemChannels, stream_.handle());
  backward_trunk_norm(0, grad, true, mode);
  kernels::stem_conv_backward_weight(gradient_at(trunk_weight(0)), at(plan_.scratch), stored_residual(),
                                     at(plan.conv[0]), mode == GradientMode::accumulate, stream_.handle());
}

}  // namespace lfm::inline LFM_TARGET
