#include "src/engine/reference/resnet.h"

#include <cstddef>

namespace lfm::reference {

void ResnetTrunk::forward(const Stage& stage, const Maps& x, Parameters& parameters, Statistics statistics,
                          const Communicator& communicator) {
  const Step step{parameters, communicator, statistics};
  if (stage.kind == StageKind::bottleneck) return bottleneck(stage.block, step);
  stem_.relu = relu(conv_norm(0, x, step));
  stem_.out = max_pool3x3(stem_.relu);
}

void ResnetTrunk::backward(const Stage& stage, const Maps& x, Parameters& parameters, GradientMode mode,
                           const Communicator& communicator) {
  const Step step{parameters, communicator, Statistics::batch, mode};
  if (stage.kind == StageKind::bottleneck) return backward_bottleneck(stage.block, step);
  const Maps grad_relu = max_pool3x3_backward(stem_.relu, stem_.grad_out);
  backward_conv_norm(0, x, relu_backward(convolutions_[0].norm, grad_relu), step);
}

void ResnetTrunk::bottleneck(int b, const Step& step) {
  const int first = first_convolution(b);
  const Maps& x = input_of(b);
  Block& block = bottlenecks_[static_cast<std::size_t>(b)];
  block.reduced = relu(conv_norm(first + kReduce, x, step));
  block.spatial = relu(conv_norm(first + kSpatial, block.reduced, step));
  block.sum = conv_norm(first + kExpand, block.spatial, step);
  const bool projects = kBottlenecks[static_cast<std::size_t>(b)].projects();
  add(block.sum, projects ? conv_norm(first + kShortcut, x, step) : x);
  block.out = relu(block.sum);
}

void ResnetTrunk::backward_bottleneck(int b, const Step& step) {
  const int first = first_convolution(b);
  const Maps& x = input_of(b);
  const Block& block = bottlenecks_[static_cast<std::size_t>(b)];
  const auto norm = [&](int part) -> const Maps& { return convolutions_[static_cast<std::size_t>(first + part)].norm; };
  const Maps grad_sum = relu_backward(block.sum, block.grad_out);
  Maps grad = backward_conv_norm(first + kExpand, block.spatial, grad_sum, step);
  grad = backward_conv_norm(first + kSpatial, block.reduced, relu_backward(norm(kSpatial), grad), step);
  grad = backward_conv_norm(first + kReduce, x, relu_backward(norm(kReduce), grad), step);
  const bool projects = kBottlenecks[static_cast<std::size_t>(b)].projects();
  add(grad, projects ? backward_conv_norm(first + kShortcut, x, grad_sum, step) : grad_sum);
  (b == 0 ? stem_.grad_out : bottlenecks_[static_cast<std::size_t>(b) - 1].grad_out) = std::move(grad);
}

const Maps& ResnetTrunk::conv_norm(int convolution, const Maps& x, const Step& step) {
  const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
  ConvNorm& pass = convolutions_[static_cast<std::size_t>(convolution)];
  const auto value = [&](int id) { return step.parameters.value(id); };
  const auto mean = value(trunk_mean(convolution)), variance = value(trunk_variance(convolution)),
             scale = value(trunk_scale(convolution)), shift = value(trunk_shift(convolution));
  pass.conv = conv(x, value(trunk_weight(convolution)), c.kernel, c.stride);
  if (step.statistics == Statistics::running) {
    pass.norm = batch_norm(pass.conv, mean, variance, scale, shift);
  } else {
    pass.statistics = batch_statistics(pass.conv, step.communicator);
    pass.norm = batch_norm(pass.conv, pass.statistics.mean, pass.statistics.variance, scale, shift);
    update_running_statistics(pass.statistics, mean, variance);
  }
  return pass.norm;
}

/// Gradient of x, which the stem's has none of.
Maps ResnetTrunk::backward_conv_norm(int convolution, const Maps& x, const Maps& grad_norm, const Step& step) {
  const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
  const ConvNorm& pass = convolutions_[static_cast<std::size_t>(convolution)];
  Parameters& p = step.parameters;
  const Maps grad_conv = batch_norm_backward(pass.conv, pass.statistics, p.value(trunk_scale(convolution)), grad_norm,
                                             p.gradient(trunk_scale(convolution), step.mode),
                                             p.gradient(trunk_shift(convolution), step.mode), step.communicator);
  conv_backward_weight(x, grad_conv, c.kernel, c.stride, p.gradient(trunk_weight(convolution), step.mode));
  if (c.bottleneck < 0) return {};
  return conv_backward_input(grad_conv, p.value(trunk_weight(convolution)), c.kernel, c.stride, x);
}

}  // namespace lfm::reference
