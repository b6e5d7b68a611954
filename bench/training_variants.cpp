// Training: each operation's variants, forward and backward.
#include "bench/variants.h"
#include "kernels/adam.h"
#include "kernels/average_pool.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_direct_training.h"
#include "kernels/conv2x2_tensor_training.h"
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/first_conv.h"
#include "kernels/head_training.h"
#include "kernels/pool_training.h"
#include "kernels/projection.h"
#include "kernels/projection_backward.h"
#include "kernels/projection_tensor.h"
#include "kernels/topk_pool.h"
#include "kernels/transpose.h"
#include "src/model/architecture.h"

namespace lfm::bench::inline LFM_TARGET {

namespace {

using kernels::Bfloat16;
using kernels::Tf32;

/// What a pass of a block's convolution reads and writes: x its input, y its output, g the gradient of its output with
/// the border of zeros.
struct Convolution {
  int batch, size, block;
  kernels::Conv2x2Shape s;
  double inputs() const { return 1.0 * s.n * s.h * s.w * s.ic; }
  double outputs() const { return 1.0 * s.n * (s.h - 1) * (s.w - 1) * s.oc; }
  double bordered() const { return 1.0 * s.n * (s.h + 1) * (s.w + 1) * s.oc; }
  double weights() const { return 4.0 * s.ic * s.oc; }
  KernelWork work(TrainingPass pass, Precision precision) const {
    return training_convolution(pass, block, precision, batch, size);
  }
};

Convolution convolution(int batch, int size, int block) {
  const MapSize in = network_shape({}, size, size).out[block - 1];
  return {batch, size, block, {batch, in.h, in.w, kChannels[block], kChannels[block + 1]}};
}

void time_fp32_convolution(KernelTimer& timer, const Convolution& c) {
  const kernels::Conv2x2Shape& s = c.s;
  auto *x = timer.array<float>(c.inputs()), *y = timer.array<float>(c.outputs()), *g = timer.array<float>(c.bordered());
  auto *weight = timer.array<float>(c.weights()), *turned = timer.array<float>(c.weights()),
       *bias = timer.array<float>(s.oc);
  auto* scratch = timer.array<float>(static_cast<double>(kernels::conv2x2_backward_weight_scratch(s)));
  const kernels::Conv2x2 forward{y, x, weight, bias, s.n, s.h, s.w, s.ic, s.oc};
  constexpr auto epilogue = kernels::Epilogue::bias;
  const auto time = [&](const char* variant, TrainingPass pass, const std::function<void(kernels::Stream)>& launch) {
    timer.time(variant, c.work(pass, Precision::fp32), Precision::fp32, launch);
  };
  time("naive", TrainingPass::forward, [&](kernels::Stream t) { kernels::conv2x2_naive(forward, epilogue, t); });
  time("FFMA, register-tiled", TrainingPass::forward,
       [&](kernels::Stream t) { kernels::conv2x2_direct(forward, epilogue, t); });
  time("naive", TrainingPass::input_gradient,
       [&](kernels::Stream t) { kernels::conv2x2_backward_input_naive(x, g, weight, s, t); });
  time("FFMA, register-tiled", TrainingPass::input_gradient, [&](kernels::Stream t) {
    kernels::transpose(turned, weight, 4, s.ic, s.oc, true, t);
    kernels::conv2x2_backward_input(x, g, turned, s, t);
  });
  time("naive", TrainingPass::weight_gradient,
       [&](kernels::Stream t) { kernels::conv2x2_backward_weight_naive(weight, x, g, s, false, t); });
  time("FFMA, register-tiled", TrainingPass::weight_gradient,
       [&](kernels::Stream t) { kernels::conv2x2_backward_weight(weight, scratch, x, g, s, false, t); });
  timer.free_arrays();
}

template <typename T>
void time_tensor_convolution(KernelTimer& timer, const Convolution& c) {
  constexpr Precision precision = kPrecisionOf<T>;
  if (!timer.runs(precision)) return;
  const kernels::Conv2x2Shape& s = c.s;
  auto *x = timer.array<T>(c.inputs()), *g = timer.array<T>(c.bordered()), *packed = timer.array<T>(c.weights());
  auto *y = timer.array<kernels::Stored<T>>(c.outputs()), *grad_x = timer.array<kernels::Stored<T>>(c.inputs());
  auto* weight = timer.array<float>(c.weights());
  const auto* bias = timer.array<float>(s.oc);
  auto* scratch = timer.array<float>(static_cast<double>(kernels::conv2x2_tensor_weight_scratch<T>(s)));
  const std::string variant = fmt::format("tensor cores, {}", precision_name(precision));
  timer.time(variant, c.work(TrainingPass::forward, precision), precision, [&](kernels::Stream t) {
    kernels::pack_training_weight(packed, weight, 4, s.ic, s.oc, kernels::ConvDirection::forward, t);
    kernels::conv2x2_tensor_training<T>({y, x, packed, bias, s.n, s.h, s.w, s.ic, s.oc}, t);
  });
  timer.time(variant, c.work(TrainingPass::input_gradient, precision), precision, [&](kernels::Stream t) {
    kernels::pack_training_weight(packed, weight, 4, s.ic, s.oc, kernels::ConvDirection::backward, t);
    kernels::conv2x2_tensor_training<T>({grad_x, g, packed, nullptr, s.n, s.h + 1, s.w + 1, s.oc, s.ic}, t);
  });
  timer.time(variant, c.work(TrainingPass::weight_gradient, precision), precision,
             [&](kernels::Stream t) { kernels::conv2x2_tensor_weight<T>(weight, scratch, x, g, s, false, t); });
  timer.free_arrays();
}

#if defined(LFM_TARGET_EMULATED)

template <typename T>
void time_cudnn_passes(KernelTimer&, Libraries&, const Convolution&, Precision) {}

#else

// All arrays of the precision, the gradient without a border; forward with ReLU, which costs nothing.
template <typename T>
void time_cudnn_passes(KernelTimer& timer, Libraries& libraries, const Convolution& c, Precision precision) {
  if (!libraries.cudnn.library || !timer.runs(precision)) return;
  for (const TrainingPass pass : {TrainingPass::forward, TrainingPass::input_gradient, TrainingPass::weight_gradient}) {
    const auto cudnn_pass = pass == TrainingPass::forward          ? ConvolutionPass::forward
                            : pass == TrainingPass::input_gradient ? ConvolutionPass::input_gradient
                                                                   : ConvolutionPass::weight_gradient;
    const CudnnConvolution::Arrays arrays{timer.array<T>(c.inputs()), timer.array<T>(c.weights()),
                                          timer.array<T>(c.outputs()), timer.array<T>(c.s.oc), nullptr};
    KernelWork work = c.work(pass, precision);
    work.activation_bytes = (c.inputs() + c.outputs()) * sizeof(T) / c.batch;
    work.weight_bytes = c.weights() * sizeof(T);
    time_library<CudnnConvolution>(timer, *libraries.cudnn.library,
                                   ConvolutionProblem{cudnn_pass, c.s.n, c.s.h, c.s.w, c.s.ic, c.s.oc, precision},
                                   arrays, fmt::format("cuDNN, {}", precision_name(precision)), work);
    timer.free_arrays();
  }
}

#endif

// The 1x1 convolution: work[0] forward, [1] the gradient of its input, [2] of its weight.
void time_fp32_projection(KernelTimer& timer, int batch, int size) {
  const int area = network_shape({}, size, size).maps().area(), positions = batch * area;
  constexpr int ic = kChannels[kBlocks];
  auto *x = timer.array<float>(1.0 * positions * ic), *maps = timer.array<float>(1.0 * positions * kMapChannels);
  auto *weight = timer.array<float>(1.0 * ic * kMapChannels), *turned = timer.array<float>(1.0 * ic * kMapChannels);
  auto* scratch = timer.array<float>(static_cast<double>(kernels::projection_backward_weight_scratch(positions, ic)));
  const auto work = training_projection(Precision::fp32, size);
  const char* variant = "FFMA, register-tiled";
  timer.time(variant, work[0], Precision::fp32,
             [&](kernels::Stream t) { kernels::projection(maps, x, weight, batch, area, ic, t); });
  timer.time(variant, work[1], Precision::fp32, [&](kernels::Stream t) {
    kernels::transpose(turned, weight, 1, ic, kMapChannels, false, t);
    kernels::projection_backward_input(x, maps, turned, positions, ic, t);
  });
  timer.time(variant, work[2], Precision::fp32, [&](kernels::Stream t) {
    kernels::projection_backward_weight(weight, scratch, x, maps, positions, ic, false, t);
  });
  timer.free_arrays();
}

template <typename T>
void time_tensor_projection(KernelTimer& timer, int batch, int size) {
  constexpr Precision precision = kPrecisionOf<T>;
  if (!timer.runs(precision)) return;
  const int area = network_shape({}, size, size).maps().area(), positions = batch * area;
  constexpr int ic = kChannels[kBlocks];
  auto *x = timer.array<T>(1.0 * positions * ic), *grad_maps = timer.array<T>(1.0 * positions * kMapChannels);
  auto* packed = timer.array<T>(1.0 * ic * kMapChannels);
  auto* maps = timer.array<float>(1.0 * positions * kMapChannels);
  auto* grad_x = timer.array<kernels::Stored<T>>(1.0 * positions * ic);
  auto* weight = timer.array<float>(1.0 * ic * kMapChannels);
  auto* scratch = timer.array<float>(static_cast<double>(kernels::projection_weight_tensor_scratch(positions, ic)));
  const auto work = training_projection(precision, size);
  const std::string variant = fmt::format("tensor cores, {}", precision_name(precision));
  timer.time(variant, work[0], precision, [&](kernels::Stream t) {
    kernels::pack_training_weight(packed, weight, 1, ic, kMapChannels, kernels::ConvDirection::forward, t);
    kernels::projection_tensor<T>(maps, x, packed, batch, area, ic, t);
  });
  timer.time(variant, work[1], precision, [&](kernels::Stream t) {
    kernels::round_values(grad_maps, maps, static_cast<std::size_t>(positions) * kMapChannels, t);
    kernels::pack_training_weight(packed, weight, 1, ic, kMapChannels, kernels::ConvDirection::backward, t);
    kernels::projection_input_tensor<T>(grad_x, grad_maps, packed, positions, ic, t);
  });
  timer.time(variant, work[2], precision, [&](kernels::Stream t) {
    kernels::projection_weight_tensor<T>(weight, scratch, x, grad_maps, positions, ic, false, t);
  });
  timer.free_arrays();
}

void time_first_conv(KernelTimer& timer, int batch, int size) {
  const MapSize conv = network_shape({}, size, size).conv[0];
  const kernels::FirstConvInput<> input{
      timer.array<std::uint8_t>(3.0 * batch * size * size), batch, size, size, {{0.02f, 0.02f, 0.02f}}};
  const double outputs = 1.0 * batch * conv.area() * kChannels[1];
  auto *y = timer.array<float>(outputs), *weight = timer.array<float>(12.0 * kChannels[1]);
  const auto* bias = timer.array<float>(kChannels[1]);
  const auto* rounded = timer.array<Bfloat16>(outputs);
  auto* scratch =
      timer.array<float>(static_cast<double>(kernels::first_conv_backward_weight_scratch(batch, size, size)));
  const auto work = training_first_conv(Precision::fp32, size), of_bf16 = training_first_conv(Precision::bf16, size);
  timer.time("fused with the residual", work[0], Precision::fp32,
             [&](kernels::Stream t) { kernels::first_conv(y, input, weight, bias, t); });
  timer.time("fused with the residual", work[1], Precision::fp32,
             [&](kernels::Stream t) { kernels::first_conv_backward_weight(weight, scratch, input, y, false, t); });
  timer.time("fused with the residual, of bf16", of_bf16[1], Precision::fp32, [&](kernels::Stream t) {
    kernels::first_conv_backward_weight(weight, scratch, input, rounded, false, t);
  });
  timer.free_arrays();
}

// T: of the precision. X: what batch norm reads.
template <typename T, typename X>
void time_batch_norm(KernelTimer& timer, int batch, int size, int block) {
  constexpr Precision precision = kPrecisionOf<T>;
  if (!timer.runs(precision)) return;
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize conv = shape.conv[block], out = shape.out[block];
  const int c = kChannels[block + 1];
  const std::int64_t positions = static_cast<std::int64_t>(batch) * conv.area();
  const double values = static_cast<double>(positions) * c;
  auto* x = timer.array<X>(values);
  auto* grad_y = timer.array<kernels::Stored<T>>(1.0 * batch * out.area() * c);
  auto* y = timer.array<T>(1.0 * batch * out.area() * c);
  auto* grad_x = timer.array<T>(1.0 * batch * (conv.h + 2) * (conv.w + 2) * c);
  auto *statistics = timer.array<float>(2.0 * c), *scale = timer.array<float>(c), *shift = timer.array<float>(c);
  auto *running_mean = timer.array<float>(c), *running_var = timer.array<float>(c);
  auto* sums = timer.array<double>(2.0 * c);
  auto* scratch = timer.array<float>(static_cast<double>(kernels::batch_norm_scratch(positions, c)));
  const kernels::BatchNorm<X> norm{x, statistics, scale, shift, batch, conv.h, conv.w, c, block + 1 < kBlocks};
  const auto count = static_cast<double>(positions);
  timer.time(fmt::format("forward and backward, fused, {}", precision_name(precision)),
             training_normalisation(block, precision, size), precision, [&](kernels::Stream t) {
               kernels::batch_moments(sums, scratch, x, positions, c, t);
               kernels::batch_statistics(statistics, running_mean, running_var, sums, count, c, 1e-5f, 0.1f, nullptr,
                                         t);
               kernels::batch_norm_relu(y, norm, t);
               kernels::batch_norm_relu_backward_sums(sums, scale, shift, scratch, norm, grad_y, false, t);
               kernels::batch_norm_relu_backward(grad_x, scratch, norm, grad_y, sums, count, 1, t);
             });
  timer.free_arrays();
}

// What lies between the maps and the logits: top-k with RBLD, RKS, or the average; and the way back.
void time_pooling(KernelTimer& timer, int batch, int size) {
  const int area = network_shape({}, size, size).maps().area(), rows = batch * kMapChannels, k = Architecture{}.k;
  const auto* maps = timer.array<float>(1.0 * rows * area);
  auto *grad_maps = timer.array<float>(1.0 * rows * area), *values = timer.array<float>(1.0 * rows * k);
  auto *positions = timer.array<std::int32_t>(1.0 * rows * k), *drawn = timer.array<std::int32_t>(1.0 * rows * k);
  auto *factors = timer.array<float>(1.0 * rows * k), *drop = timer.array<float>(k), *scale = timer.array<float>(k);
  const kernels::DrawOrigin origin{1, 2, 3};
  const double all = 4.0 * kMapChannels * area, selected = 4.0 * kMapChannels * k,
               channels = 4.0 * kMapChannels;  // bytes of an image
  const auto time = [&](const char* operation, const char* variant, double bytes,
                        const std::function<void(kernels::Stream)>& launch) {
    timer.time(variant, {operation, 0, bytes, 0, false}, Precision::fp32, launch);
  };
  time("topk_pool, with positions", "a warp a map", all + 2 * selected,
       [&](kernels::Stream t) { kernels::topk_pool(values, positions, maps, rows, area, k, t); });
  time("rbld", "drawn as it is applied", 3 * selected, [&](kernels::Stream t) {
    kernels::rbld(values, factors, nullptr, drop, scale, origin, rows, kMapChannels, k, t);
  });
  time("rks, positions", "Floyd's method", selected,
       [&](kernels::Stream t) { kernels::rks_draw(drawn, origin, rows, kMapChannels, area, k, t); });
  time("rks, values", "gather and sort", 4 * selected,
       [&](kernels::Stream t) { kernels::rks_gather(values, positions, drawn, maps, rows, area, k, t); });
  time("pool_backward", "scatter", 4 * selected, [&](kernels::Stream t) {
    kernels::pool_backward(grad_maps, values, nullptr, positions, rows, kMapChannels, area, k, t);
  });
  time("average_pool", "a warp a map", all + channels,
       [&](kernels::Stream t) { kernels::average_pool(values, maps, rows, area, t); });
  time("average_pool, backward", "every position at once", all + channels, [&](kernels::Stream t) {
    kernels::average_pool_backward(grad_maps, values, rows, kMapChannels, area, false, t);
  });
  timer.free_arrays();
}

void time_loss(KernelTimer& timer, int batch) {
  const int features = kMapChannels * Architecture{}.k;
  auto *losses = timer.array<float>(batch), *grad_logits = timer.array<float>(batch),
       *logits = timer.array<float>(batch);
  const auto* labels = timer.array<std::uint8_t>(batch);
  auto *values = timer.array<float>(1.0 * batch * features), *grad_values = timer.array<float>(1.0 * batch * features);
  auto *weight = timer.array<float>(features), *grad_weight = timer.array<float>(features),
       *grad_bias = timer.array<float>(1);
  timer.time("both in one", {"bce_with_logits", 0, 3 * 4 + 1, 0, false}, Precision::fp32,
             [&](kernels::Stream t) { kernels::bce_with_logits(losses, grad_logits, logits, labels, 1.0f, batch, t); });
  timer.time("sums in order", {"head_backward", 4.0 * features, 2 * 4.0 * features + 4, 2 * 4.0 * features, false},
             Precision::fp32, [&](kernels::Stream t) {
               kernels::head_backward(grad_values, grad_weight, grad_bias, values, weight, grad_logits, batch, features,
                                      1, false, t);
             });
  timer.free_arrays();
}

void time_adam(KernelTimer& timer, int batch, int size) {
  const std::size_t count = parameter_table({}).trainable_floats;
  const auto floats = static_cast<double>(count);
  auto *parameters = timer.array<float>(floats), *m = timer.array<float>(floats), *v = timer.array<float>(floats);
  const auto* gradients = timer.array<float>(floats);
  auto* partials = timer.array<double>(kernels::adam_norm_partials(count));
  const kernels::AdamStep step{1e-4f, 0.9f, 0.999f, 1e-8f, 0, 0.1f, 0.001f};
  timer.time("every parameter at once", training_kernels(Precision::fp32, batch, size).back(), Precision::fp32,
             [&](kernels::Stream t) { kernels::adam(parameters, m, v, partials, gradients, step, count, t); });
  timer.free_arrays();
}

}  // namespace

void time_training_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size) {
  time_first_conv(timer, batch, size);
  for (int block = 1; block < kBlocks; ++block) {
    const Convolution c = convolution(batch, size, block);
    time_fp32_convolution(timer, c);
    time_tensor_convolution<Tf32>(timer, c);
    time_tensor_convolution<Bfloat16>(timer, c);
    time_cudnn_passes<float>(timer, libraries, c, Precision::fp32);
    time_cudnn_passes<float>(timer, libraries, c, Precision::tf32);
    time_cudnn_passes<Bfloat16>(timer, libraries, c, Precision::bf16);
  }
  time_fp32_projection(timer, batch, size);
  time_tensor_projection<Tf32>(timer, batch, size);
  time_tensor_projection<Bfloat16>(timer, batch, size);
  for (int block = 0; block < kBlocks; ++block) {
    time_batch_norm<float, float>(timer, batch, size, block);
    if (block == 0) {
      time_batch_norm<Bfloat16, float>(timer, batch, size, block);
    } else {
      time_batch_norm<Bfloat16, Bfloat16>(timer, batch, size, block);
    }
  }
  time_pooling(timer, batch, size);
  time_loss(timer, batch);
  time_adam(timer, batch, size);
}

}  // namespace lfm::bench::inline LFM_TARGET
