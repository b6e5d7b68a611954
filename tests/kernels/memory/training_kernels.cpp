#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2x2_direct_training.h"
#include "kernels/conv2x2_tensor_training.h"
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/distillation.h"
#include "kernels/first_conv.h"
#include "kernels/head_training.h"
#include "kernels/join.h"
#include "kernels/padded_conv_weight.h"
#include "kernels/partial_sums.h"
#include "kernels/pool_training.h"
#include "kernels/projection_backward.h"
#include "kernels/projection_tensor.h"
#include "kernels/spread.h"
#include "kernels/stem_conv.h"
#include "kernels/stem_pool.h"
#include "kernels/transpose.h"
#include "tests/kernels/memory/every_kernel.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

namespace {

using Floats = WatchedArray<float>;
using Doubles = WatchedArray<double>;

std::size_t product(std::initializer_list<int> extents) {
  std::size_t count = 1;
  for (const int extent : extents) count *= static_cast<std::size_t>(extent);
  return count;
}

void first_conv(simt::MemoryChecker& checker) {
  constexpr int n = 1, height = 46, width = 47;
  const WatchedArray<std::uint8_t> pixels(checker, "pixels", product({n, height, width, 3}), 1);
  const Floats weight(checker, "weight", product({4, 3, 64}), 2), bias(checker, "bias", 64, 3);
  const Floats output(checker, "output", product({n, height - 1, width - 2, 64}));
  const kernels::FirstConvInput<> input{pixels, n, height, width, {0.1f, 0.2f, 0.3f}};
  kernels::first_conv(output, input, weight, bias, nullptr);
  const Floats scratch(checker, "scratch", kernels::first_conv_backward_weight_scratch(n, height, width));
  const Floats grad_weight(checker, "grad_weight", product({4, 3, 64}));
  kernels::first_conv_backward_weight(grad_weight, scratch, input, output.data(), false, nullptr);
  const WatchedArray<kernels::Bfloat16> rounded(checker, "rounded", product({n, height - 1, width - 2, 64}), 0);
  kernels::first_conv_backward_weight(grad_weight, scratch, input, rounded.data(), false, nullptr);
}

// T: what the next convolution multiplies; X: of x. What is BF16 is zeros, as it comes.
template <typename T, typename X>
void batch_norm(simt::MemoryChecker& checker, bool pool) {
  using G = kernels::Stored<T>;
  constexpr int n = 2, h = 13, w = 15, c = 128, positions = n * h * w;
  const int side = pool ? 2 : 1, windows = n * (h / side) * (w / side);
  const WatchedArray<X> x(checker, "x", product({positions, c}), 1);
  const Floats scratch(checker, "scratch", kernels::batch_norm_scratch(positions, c));
  const Doubles moments(checker, "moments", 2 * c), sums(checker, "sums", 2 * c);
  kernels::batch_moments<X>(moments, scratch, x, positions, c, nullptr);
  kernels::moments_to_totals(sums, moments, positions, c, nullptr);
  kernels::recentre_moments(moments, sums, positions, positions, c, nullptr);
  const Floats statistics(checker, "statistics", 2 * c), running_mean(checker, "running_mean", c, 0),
      running_var(checker, "running_var", c, 0);
  const Floats scale(checker, "scale", c, 2), shift(checker, "shift", c, 3);
  kernels::batch_statistics(statistics, running_mean, running_var, moments, positions, c, 1e-5f, 0.1f, shift, nullptr);
  const kernels::BatchNorm<X> norm{x, statistics, scale, shift, n, h, w, c, pool};
  const WatchedArray<T> output(checker, "output", product({windows, c}));
  kernels::batch_norm_relu<T, X>(output, norm, nullptr);
  const WatchedArray<G> grad(checker, "grad_output", product({windows, c}), 4);
  const Floats grad_scale(checker, "grad_scale", c, 0), grad_shift(checker, "grad_shift", c, 0);
  kernels::batch_norm_relu_backward_sums<X, G>(sums, grad_scale, grad_shift, scratch, norm, grad, true, nullptr);
  if constexpr (std::is_same_v<X, float> && std::is_same_v<G, float>) {
    if (!pool) {  // where a shortcut is added before ReLU
      kernels::join(output, norm, grad, nullptr);
      kernels::join(output, norm, norm, nullptr);
      kernels::join_backward(grad, output, product({positions, c}), nullptr);
      kernels::BatchNorm<float> added = norm;
      added.relu = false;
      kernels::batch_norm_relu_backward_sums<X, G>(sums, grad_scale, grad_shift, scratch, added, grad, true, nullptr);
    }
  }
  const WatchedArray<T> grad_x(checker, "grad_x", product({n, h + 2, w + 2, c}));
  kernels::batch_norm_relu_backward<T, X>(grad_x, scratch, norm, grad, sums, positions, 1, nullptr);
  if constexpr (std::is_same_v<X, G>)
    kernels::batch_norm_relu_backward<X, X>(x, scratch, norm, grad, sums, positions, 0, nullptr);
}

void convolution(simt::MemoryChecker& checker, const kernels::Conv2x2Shape& s) {
  const Floats weight(checker, "weight", product({4, s.ic, s.oc}), 1),
      transposed(checker, "transposed", product({4, s.oc, s.ic}));
  kernels::transpose(transposed, weight, 4, s.ic, s.oc, true, nullptr);
  const Floats grad_output(checker, "grad_output", product({s.n, s.h + 1, s.w + 1, s.oc}), 2);
  const Floats grad_input(checker, "grad_input", product({s.n, s.h, s.w, s.ic}));
  kernels::conv2x2_backward_input(grad_input, grad_output, transposed, s, nullptr);
  const Floats input(checker, "input", product({s.n, s.h, s.w, s.ic}), 3),
      grad_weight(checker, "grad_weight", product({4, s.ic, s.oc}), 0);
  const Floats scratch(checker, "scratch", kernels::conv2x2_backward_weight_scratch(s));
  kernels::conv2x2_backward_weight(grad_weight, scratch, input, grad_output, s, true, nullptr);
}

// Weights are zeros, as they come, but those that are packed.
template <typename T>
void tensor_cores(simt::MemoryChecker& checker) {
  constexpr kernels::Conv2x2Shape s{1, 18, 35, 64, 128};  // whole tiles and borders
  const Floats weight(checker, "weight", product({4, s.ic, s.oc}), 1), bias(checker, "bias", s.oc, 2);
  const WatchedArray<T> packed(checker, "packed", product({4, s.ic, s.oc}));
  const WatchedArray<T> input(checker, "input", product({s.n, s.h, s.w, s.ic}), 0),
      grad(checker, "grad_output", product({s.n, s.h + 1, s.w + 1, s.oc}), 0);
  const WatchedArray<kernels::Stored<T>> output(checker, "output", product({s.n, s.h - 1, s.w - 1, s.oc})),
      grad_input(checker, "grad_input", product({s.n, s.h, s.w, s.ic}));
  using kernels::ConvDirection;
  kernels::pack_training_weight<T>(packed, weight, 4, s.ic, s.oc, ConvDirection::forward, nullptr);
  kernels::conv2x2_tensor_training<T>({output, input, packed, bias, s.n, s.h, s.w, s.ic, s.oc}, nullptr);
  kernels::pack_training_weight<T>(packed, weight, 4, s.ic, s.oc, ConvDirection::backward, nullptr);
  kernels::conv2x2_tensor_training<T>({grad_input, grad, packed, nullptr, s.n, s.h + 1, s.w + 1, s.oc, s.ic}, nullptr);
  const Floats grad_weight(checker, "grad_weight", product({4, s.ic, s.oc})),
      scratch(checker, "scratch", kernels::conv2x2_tensor_weight_scratch<T>(s));
  kernels::conv2x2_tensor_weight<T>(grad_weight, scratch, input, grad, s, false, nullptr);
}

template <typename T>
void projection_tensor(simt::MemoryChecker& checker) {
  constexpr int n = 2, area = 100, ic = 256, positions = n * area;
  const Floats weight(checker, "weight", product({ic, 64}), 1), exact(checker, "exact", product({positions, 64}), 2);
  const WatchedArray<T> packed(checker, "packed", product({ic, 64})),
      input(checker, "input", product({positions, ic}), 0), grad_maps(checker, "grad_maps", product({positions, 64}));
  const WatchedArray<kernels::Stored<T>> grad_input(checker, "grad_input", product({positions, ic}));
  const Floats maps(checker, "maps", product({positions, 64})), grad_weight(checker, "grad_weight", product({ic, 64})),
      scratch(checker, "scratch", kernels::projection_weight_tensor_scratch(positions, ic));
  using kernels::ConvDirection;
  kernels::pack_training_weight<T>(packed, weight, 1, ic, 64, ConvDirection::forward, nullptr);
  kernels::projection_tensor<T>(maps, input, packed, n, area, ic, nullptr);
  kernels::round_values<T>(grad_maps, exact, product({positions, 64}), nullptr);
  kernels::pack_training_weight<T>(packed, weight, 1, ic, 64, ConvDirection::backward, nullptr);
  kernels::projection_input_tensor<T>(grad_input, grad_maps, packed, positions, ic, nullptr);
  kernels::projection_weight_tensor<T>(grad_weight, scratch, input, grad_maps, positions, ic, false, nullptr);
}

void padded_convolution(simt::MemoryChecker& checker, const kernels::PaddedConvShape& s) {
  const int oh = (s.h - 1) / s.stride + 1, ow = (s.w - 1) / s.stride + 1;
  const Floats input(checker, "input", product({s.n, s.h, s.w, s.ic}), 1),
      grad_output(checker, "grad_output", product({s.n, oh, ow, s.oc}), 2);
  const Floats grad_weight(checker, "grad_weight", product({s.kernel, s.kernel, s.ic, s.oc})),
      scratch(checker, "scratch", kernels::padded_conv_backward_weight_scratch(s));
  kernels::padded_conv_backward_weight(grad_weight, scratch, input, grad_output, s, false, nullptr);
  if (s.stride == 1) return;
  const Floats spread(checker, "spread", product({s.n, s.h, s.w, s.oc}));
  kernels::spread(spread, grad_output, s.n, s.h, s.w, s.oc, nullptr);
}

void stem(simt::MemoryChecker& checker) {
  constexpr int n = 2, h = 21, w = 70, ch = (h - 1) / 2 + 1, cw = (w - 1) / 2 + 1, ph = (ch - 1) / 2 + 1,
                pw = (cw - 1) / 2 + 1, c = 64;
  const Floats residual(checker, "residual", product({n, h, w, 3}), 1),
      weight(checker, "weight", product({9, 3, c}), 2), conv(checker, "conv", product({n, ch, cw, c}));
  const kernels::FirstConvInput<float> input{residual, n, h, w, {0.1f, 0.2f, 0.3f}};
  kernels::stem_conv(conv, input, weight, nullptr);
  const Floats statistics(checker, "statistics", 2 * c, 3), scale(checker, "scale", c, 4),
      shift(checker, "shift", c, 5);
  const Floats pooled(checker, "pooled", product({n, ph, pw, c})), grad(checker, "grad", product({n, ch, cw, c}));
  const WatchedArray<std::uint32_t> winners(checker, "winners", product({n, ph, pw, c / 4}));
  kernels::stem_pool(pooled, winners, {conv, statistics, scale, shift, n, ch, cw, c}, nullptr);
  kernels::stem_pool_backward(grad, pooled, winners, n, ch, cw, c, nullptr);
  const Floats grad_weight(checker, "grad_weight", product({9, 3, c})),
      scratch(checker, "scratch", kernels::stem_conv_backward_weight_scratch(n, h, w));
  kernels::stem_conv_backward_weight(grad_weight, scratch, input, grad, false, nullptr);
}

void naive_convolution(simt::MemoryChecker& checker) {
  constexpr kernels::Conv2x2Shape s{1, 4, 5, 32, 64};
  const Floats weight(checker, "weight", product({4, s.ic, s.oc}), 1);
  const Floats grad_output(checker, "grad_output", product({s.n, s.h + 1, s.w + 1, s.oc}), 2);
  const Floats input(checker, "input", product({s.n, s.h, s.w, s.ic}), 3);
  const Floats grad_input(checker, "grad_input", product({s.n, s.h, s.w, s.ic})),
      grad_weight(checker, "grad_weight", product({4, s.ic, s.oc}), 0);
  kernels::conv2x2_backward_input_naive(grad_input, grad_output, weight, s, nullptr);
  kernels::conv2x2_backward_weight_naive(grad_weight, input, grad_output, s, true, nullptr);
}

void projection(simt::MemoryChecker& checker) {
  constexpr int positions = 200, ic = 256;
  const Floats weight(checker, "weight", product({ic, 64}), 1), transposed(checker, "transposed", product({64, ic}));
  kernels::transpose(transposed, weight, 1, ic, 64, false, nullptr);
  const Floats grad_maps(checker, "grad_maps", product({positions, 64}), 2),
      grad_input(checker, "grad_input", product({positions, ic}));
  kernels::projection_backward_input(grad_input, grad_maps, transposed, positions, ic, nullptr);
  const Floats input(checker, "input", product({positions, ic}), 3),
      grad_weight(checker, "grad_weight", product({ic, 64}));
  const Floats scratch(checker, "scratch", kernels::projection_backward_weight_scratch(positions, ic));
  kernels::projection_backward_weight(grad_weight, scratch, input, grad_maps, positions, ic, false, nullptr);
}

void pooling(simt::MemoryChecker& checker) {
  constexpr int n = 2, rows = n * 64, area = 100, k = 16;
  constexpr kernels::DrawOrigin origin{1, 2, 3};
  const Floats maps(checker, "maps", product({rows, area}), 1), values(checker, "values", product({rows, k}), 2);
  const Floats factors(checker, "factors", product({rows, k})), drop(checker, "drop", k, 0),
      scale(checker, "scale", k, 3);
  const WatchedArray<std::uint8_t> keep(checker, "keep", product({rows, k}), 4);
  kernels::rbld(values, factors, nullptr, drop, scale, origin, rows, 64, k, nullptr);
  kernels::rbld(values, factors, keep, drop, scale, origin, rows, 64, k, nullptr);
  const WatchedArray<std::int32_t> drawn(checker, "drawn", product({rows, k})),
      positions(checker, "positions", product({rows, k}));
  kernels::rks_draw(drawn, origin, rows, 64, area, k, nullptr);
  kernels::rks_gather(values, positions, drawn, maps, rows, area, k, nullptr);
  const Floats grad_maps(checker, "grad_maps", product({n, area, 64}), 0);
  kernels::pool_backward(grad_maps, values, factors, positions, rows, 64, area, k, nullptr);
  kernels::average_pool_backward(grad_maps, values, rows, 64, area, true, nullptr);
}

void distillation(simt::MemoryChecker& checker) {
  constexpr int n = 2, area = 100;
  const Floats maps(checker, "maps", product({n, 64, area}), 1), teacher(checker, "teacher", product({n, 64, area}), 2),
      scale(checker, "scale", 65, 3);
  const Floats grad_maps(checker, "grad_maps", product({n, area, 64})),
      partials(checker, "partials", product({kernels::distillation_tiles(area), n}));
  kernels::distill_maps(grad_maps, partials, maps, teacher, scale, 0.5f, n, area, nullptr);
  kernels::distill_maps_naive(grad_maps, partials, maps, teacher, scale, 0.5f, n, area, nullptr);
  const Floats logits(checker, "logits", n, 4), taught(checker, "teacher's logits", n, 5),
      distances(checker, "distances", n), grad_logits(checker, "grad_logits", n, 0);
  kernels::distill_logits(distances, grad_logits, logits, taught, scale + 64, 0.5f, n, nullptr);
}

void head_and_step(simt::MemoryChecker& checker) {
  constexpr int n = 33, count = 1024;
  const Floats logits(checker, "logits", n, 1), losses(checker, "losses", n), grad_logits(checker, "grad_logits", n);
  const WatchedArray<std::uint8_t> labels(checker, "labels", n, 2);
  kernels::bce_with_logits(losses, grad_logits, logits, labels, 0.5f, n, nullptr);
  const Floats features(checker, "features", product({n, count}), 3), weight(checker, "weight", count, 4);
  const Floats grad_features(checker, "grad_features", product({n, count})),
      grad_weight(checker, "grad_weight", count, 0);
  const Floats grad_bias(checker, "grad_bias", 1, 0);
  kernels::head_backward(grad_features, grad_weight, grad_bias, features, weight, grad_logits, n, count, 1, true,
                         nullptr);

  constexpr std::size_t parameters = 3000;
  const Floats values(checker, "parameters", parameters, 5), m(checker, "m", parameters, 0),
      v(checker, "v", parameters, 0);
  const Floats gradients(checker, "gradients", parameters, 6);
  const Doubles norms(checker, "norm_partials", static_cast<std::size_t>(kernels::adam_norm_partials(parameters)));
  kernels::adam(values, m, v, norms, gradients, {1e-4f, 0.9f, 0.999f, 1e-8f, 0.0f, 1.0f, 1.0f}, parameters, nullptr);
}

}  // namespace

void run_training_kernels(simt::MemoryChecker& checker) {
  first_conv(checker);
  for (const bool pool : {false, true}) {
    batch_norm<float, float>(checker, pool);
    batch_norm<kernels::Bfloat16, kernels::Bfloat16>(checker, pool);
    batch_norm<kernels::Bfloat16, float>(checker, pool);
  }
  convolution(checker, {1, 9, 11, 64, 128});
  convolution(checker, {1, 7, 8, 128, 256});
  tensor_cores<kernels::Bfloat16>(checker);
  tensor_cores<kernels::Tf32>(checker);
  projection_tensor<kernels::Bfloat16>(checker);
  projection_tensor<kernels::Tf32>(checker);
  naive_convolution(checker);
  padded_convolution(checker, {1, 11, 12, 64, 128, 3, 1});
  padded_convolution(checker, {2, 9, 11, 64, 64, 3, 2});
  padded_convolution(checker, {1, 10, 9, 128, 64, 1, 2});
  stem(checker);
  projection(checker);
  pooling(checker);
  distillation(checker);
  head_and_step(checker);
}

}  // namespace lfm::test
