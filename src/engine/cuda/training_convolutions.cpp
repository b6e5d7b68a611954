// Training: the convolutions of SNet's blocks 2 to 4 and the 1x1, forward and backward, in FP32 or on tensor cores.
// Weights are FP32 always; for tensor cores they are rounded and packed anew by every pass, as FP32's backward turns
// them around.
#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_tensor_training.h"
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/projection.h"
#include "kernels/projection_backward.h"
#include "kernels/projection_tensor.h"
#include "kernels/transpose.h"
#include "src/engine/cuda/training.h"

namespace lfm::inline LFM_TARGET {

kernels::Conv2x2Shape CudaTraining::conv_shape(int b) const {
  const MapSize& in = plan_.shape.out[b - 1];
  return {n_, in.h, in.w, kChannels[b], kChannels[b + 1]};
}

template <>
void CudaTraining::convolve<float>(int b) {
  const kernels::Conv2x2Shape s = conv_shape(b);
  kernels::conv2x2_direct({.output = at(plan_.conv[b]),
                           .input = at(plan_.out[b - 1]),
                           .weight = parameter_at(conv_weight(b)),
                           .bias = parameter_at(conv_bias(b)),
                           .n = s.n,
                           .h = s.h,
                           .w = s.w,
                           .ic = s.ic,
                           .oc = s.oc},
                          kernels::Epilogue::bias, stream_.handle());
}

template <typename T>
void CudaTraining::convolve(int b) {
  const kernels::Conv2x2Shape s = conv_shape(b);
  kernels::pack_training_weight(at<T>(plan_.packed), parameter_at(conv_weight(b)), 4, s.ic, s.oc,
                                kernels::ConvDirection::forward, stream_.handle());
  kernels::conv2x2_tensor_training<T>(
      {.output = at<kernels::Stored<T>>(plan_.conv[b]),
       .input = at<T>(plan_.out[b - 1]),
       .weight = at<T>(plan_.packed),
       .bias = is_stored_without_bias<kernels::Stored<T>> ? nullptr : parameter_at(conv_bias(b)),
       .n = s.n,
       .h = s.h,
       .w = s.w,
       .ic = s.ic,
       .oc = s.oc},
      stream_.handle());
}

void CudaTraining::convolve(int b) {
  in_format([&](auto format) { convolve<decltype(format)>(b); });
}

template <>
void CudaTraining::project<float>() {
  kernels::projection(at(plan_.maps), at(plan_.out[kBlocks - 1]), parameter_at(kProjection), n_,
                      plan_.shape.maps().area(), kChannels[kBlocks], stream_.handle());
}

template <typename T>
void CudaTraining::project() {
  constexpr int ic = kChannels[kBlocks];
  kernels::pack_training_weight(at<T>(plan_.packed), parameter_at(kProjection), 1, ic, kMapChannels,
                                kernels::ConvDirection::forward, stream_.handle());
  kernels::projection_tensor(at(plan_.maps), at<T>(plan_.out[kBlocks - 1]), at<T>(plan_.packed), n_,
                             plan_.shape.maps().area(), ic, stream_.handle());
}

void CudaTraining::project() {
  in_format([&](auto format) { project<decltype(format)>(); });
}

// grad_maps -> the gradient of the weight, and grad_out: of the last block's output
template <>
void CudaTraining::backward_projection<float>(GradientMode mode) {
  constexpr int ic = kChannels[kBlocks];
  kernels::projection_backward_weight(gradient_at(kProjection), at(plan_.scratch), at(plan_.out[kBlocks - 1]),
                                      at(plan_.grad_maps), map_positions(), ic, mode == GradientMode::accumulate,
                                      stream_.handle());
  kernels::transpose(at(plan_.packed), parameter_at(kProjection), 1, ic, kMapChannels, false, stream_.handle());
  kernels::projection_backward_input(at(plan_.grad_out), at(plan_.grad_maps), at(plan_.packed), map_positions(), ic,
                                     stream_.handle());
}

template <typename T>
void CudaTraining::backward_projection(GradientMode mode) {
  constexpr int ic = kChannels[kBlocks];
  T* grad_maps = at<T>(plan_.rounded_grad_maps);
  kernels::round_values(grad_maps, at(plan_.grad_maps), static_cast<std::size_t>(map_positions()) * kMapChannels,
                        stream_.handle());
  kernels::projection_weight_tensor(gradient_at(kProjection), at(plan_.scratch), at<T>(plan_.out[kBlocks - 1]),
                                    grad_maps, map_positions(), ic, mode == GradientMode::accumulate, stream_.handle());
  kernels::pack_training_weight(at<T>(plan_.packed), parameter_at(kProjection), 1, ic, kMapChannels,
                                kernels::ConvDirection::backward, stream_.handle());
  kernels::projection_input_tensor(at<kernels::Stored<T>>(plan_.grad_out), grad_maps, at<T>(plan_.packed),
                                   map_positions(), ic, stream_.handle());
}

void CudaTraining::backward_projection(GradientMode mode) {
  in_format([&](auto format) { backward_projection<decltype(format)>(mode); });
}

// grad_conv: the gradient of the convolution's output -> of its weight, and grad_out: of its input
template <>
void CudaTraining::backward_convolution<float>(int b, GradientMode mode) {
  const kernels::Conv2x2Shape s = conv_shape(b);
  kernels::conv2x2_backward_weight(gradient_at(conv_weight(b)), at(plan_.scratch), at(plan_.out[b - 1]),
                                   at(plan_.grad_conv), s, mode == GradientMode::accumulate, stream_.handle());
  kernels::transpose(at(plan_.packed), parameter_at(conv_weight(b)), 4, s.ic, s.oc, true, stream_.handle());
  kernels::conv2x2_backward_input(at(plan_.grad_out), at(plan_.grad_conv), at(plan_.packed), s, stream_.handle());
}

template <typename T>
void CudaTraining::backward_convolution(int b, GradientMode mode) {
  const kernels::Conv2x2Shape s = conv_shape(b);
  kernels::conv2x2_tensor_weight(gradient_at(conv_weight(b)), at(plan_.scratch), at<T>(plan_.out[b - 1]),
                                 at<T>(plan_.grad_conv), s, mode == GradientMode::accumulate, stream_.handle());
  kernels::pack_training_weight(at<T>(plan_.packed), parameter_at(conv_weight(b)), 4, s.ic, s.oc,
                                kernels::ConvDirection::backward, stream_.handle());
  kernels::conv2x2_tensor_training<T>({.output = at<kernels::Stored<T>>(plan_.grad_out),
                                       .input = at<T>(plan_.grad_conv),
                                       .weight = at<T>(plan_.packed),
                                       .n = s.n,
                                       .h = s.h + 1,
                                       .w = s.w + 1,
                                       .ic = s.oc,
                                       .oc = s.ic},
                                      stream_.handle());
}

void CudaTraining::backward_convolution(int b, GradientMode mode) {
  in_format([&](auto format) { backward_convolution<decltype(format)>(b, mode); });
}

}  // namespace lfm::inline LFM_TARGET
