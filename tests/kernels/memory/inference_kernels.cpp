#include "kernels/average_pool.h"
#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_tensor.h"
#include "kernels/conv2x2_wgmma.h"
#include "kernels/conv2x2_winograd.h"
#include "kernels/first_block.h"
#include "kernels/first_block_tensor.h"
#include "kernels/head.h"
#include "kernels/last_block_tensor.h"
#include "kernels/last_block_wgmma.h"
#include "kernels/max_pool.h"
#include "kernels/padded_conv.h"
#include "kernels/padded_conv_tensor.h"
#include "kernels/pool_head.h"
#include "kernels/projection.h"
#include "kernels/residual.h"
#include "kernels/stem.h"
#include "kernels/tensor_layout.h"
#include "kernels/topk_pool.h"
#include "kernels/unfold.h"
#include "tests/kernels/memory/every_kernel.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

namespace {

using Floats = WatchedArray<float>;

std::size_t product(std::initializer_list<int> extents) {
  std::size_t count = 1;
  for (const int extent : extents) count *= static_cast<std::size_t>(extent);
  return count;
}

void first_block(simt::MemoryChecker& checker) {
  constexpr int n = 2, height = 47, width = 50, out_h = 22,
                out_w = 24;  // a tail of a block, and an odd last row
  const WatchedArray<std::uint8_t> pixels(checker, "pixels", product({n, height, width, 3}), 1);
  const Floats residual(checker, "residual", product({n, height - 1, width, 3}));
  kernels::residual(FrontEnd::npr, residual, pixels, n, height, width, nullptr);
  const Floats weight(checker, "weight", product({4, 3, 64}), 2), bias(checker, "bias", 64, 3);
  const Floats output(checker, "output", product({n, out_h, out_w, 64}));
  kernels::first_block<float, std::uint8_t>(output, pixels, weight, bias, n, height, width, nullptr);
}

template <typename T>
void first_block_tensor(simt::MemoryChecker& checker) {
  constexpr int n = 2, height = 47, width = 50, out_h = 22, out_w = 24;
  const WatchedArray<std::uint8_t> pixels(checker, "pixels", product({n, height, width, 3}), 1);
  const Floats weight(checker, "weight", product({4, 3, 64}), 2), bias(checker, "bias", 64, 3);
  const WatchedArray<T> output(checker, "output", product({n, out_h, out_w, 64}));
  for (const int blocks : {1024, 1}) {
    kernels::first_block_tensor<T>(output, pixels, weight, bias, n, height, width, nullptr, blocks);
  }
}

void convolution(simt::MemoryChecker& checker) {
  constexpr int n = 2, h = 13, w = 12, ic = 64, oc = 128;
  const Floats input(checker, "input", product({n, h, w, ic}), 1), weight(checker, "weight", product({4, ic, oc}), 2);
  const Floats bias(checker, "bias", oc, 3);
  for (const auto epilogue :
       {kernels::Epilogue::bias, kernels::Epilogue::bias_relu, kernels::Epilogue::bias_relu_pool}) {
    const int side = epilogue == kernels::Epilogue::bias_relu_pool ? 2 : 1;
    const Floats output(checker, "output", product({n, (h - 1) / side, (w - 1) / side, oc}));
    kernels::conv2x2_direct({output, input, weight, bias, n, h, w, ic, oc}, epilogue, nullptr);
    const Floats small(checker, "output", product({1, 4 / side, 5 / side, oc}));
    kernels::conv2x2_naive({small, input, weight, bias, 1, 5, 6, 16, oc}, epilogue, nullptr);
  }
}

void winograd(simt::MemoryChecker& checker) {
  constexpr int n = 1, h = 18, w = 36, ic = 16, oc = 128;  // whole tiles, borders, half a window
  const Floats input(checker, "input", product({n, h, w, ic}), 1), weight(checker, "weight", product({9, ic, oc}), 2);
  const Floats bias(checker, "bias", oc, 3);
  const Floats pooled(checker, "output", product({n, (h - 1) / 2, (w - 1) / 2, oc}));
  kernels::conv2x2_winograd({pooled, input, weight, bias, n, h, w, ic, oc}, kernels::Epilogue::bias_relu_pool, nullptr);
  const Floats output(checker, "output", product({n, h - 1, w - 1, oc}));
  kernels::conv2x2_winograd({output, input, weight, bias, n, h, w, ic, oc}, kernels::Epilogue::bias_relu, nullptr);
}

// Weights are zeros, as they come: their order is for the kernels' own tests.
template <typename T>
void tensor_cores(simt::MemoryChecker& checker) {
  constexpr int n = 1, h = 18, w = 35, ic = 64, oc = 128;  // whole tiles and borders
  const WatchedArray<T> input(checker, "input", product({n, h, w, ic}), 0);
  const WatchedArray<T> weight(checker, "weight", product({4, ic, oc}) + product({oc, 64}), 0);
  const Floats bias(checker, "bias", oc, 3);
  const WatchedArray<T> output(checker, "output", product({n, (h - 1) / 2, (w - 1) / 2, oc}));
  kernels::conv2x2_tensor<T>({output, input, weight, bias, n, h, w, ic, oc}, nullptr);
  const WatchedArray<T> same_output(checker, "output", product({n, (h - 1) / 2, (w - 1) / 2, oc}));
  kernels::conv2x2_wgmma<T>({same_output, input, weight, bias, n, h, w, ic, oc}, nullptr);
  const Floats maps(checker, "maps", product({n, 64, h - 1, w - 1}));
  kernels::last_block_tensor<T>({maps, input, weight, bias, n, h, w, ic, oc}, nullptr);
  const int tiles = n * kernels::ConvTile::tiles(h - 1, w - 1);
  const WatchedArray<T> scratch(checker, "scratch", product({tiles, 128, oc}));
  const Floats same_maps(checker, "maps", product({n, 64, h - 1, w - 1}));
  kernels::last_block_tensor<T>({same_maps, input, weight, bias, n, h, w, ic, oc, scratch}, nullptr);
  kernels::last_block_wgmma<T>({same_maps, input, weight, bias, n, h, w, ic, oc}, nullptr);
  kernels::last_block_wgmma<T>({same_maps, input, weight, bias, n, h, w, ic, oc, scratch}, nullptr);
}

void projection(simt::MemoryChecker& checker) {
  constexpr int n = 2, area = 100, ic = 64;
  const Floats input(checker, "input", product({n, area, ic}), 1), weight(checker, "weight", product({ic, 64}), 2);
  const Floats maps(checker, "maps", product({n, 64, area}));
  kernels::projection(maps, input, weight, n, area, ic, nullptr);
  kernels::projection_naive(maps, input, weight, 1, area, 16, nullptr);
}

void pooling_and_head(simt::MemoryChecker& checker) {
  constexpr int n = 3, area = 100, k = 16, rows = n * 64;
  const Floats maps(checker, "maps", product({rows, area}), 1), values(checker, "values", product({rows, k}));
  const WatchedArray<std::int32_t> positions(checker, "positions", product({rows, k}));
  kernels::topk_pool(values, positions, maps, rows, area, k, nullptr);
  const Floats means(checker, "means", rows);
  kernels::average_pool(means, maps, rows, area, nullptr);
  const Floats weight(checker, "weight", 64 * k, 2), bias(checker, "bias", 1, 3), logits(checker, "logits", n);
  kernels::head(logits, values, weight, bias, n, 64 * k, 1, nullptr);
  kernels::pool_head(logits, values, maps, weight, bias, n, 64, area, k, nullptr);
}

void resnet(simt::MemoryChecker& checker) {
  constexpr int n = 2, height = 35, width = 70;  // tiles with a tail in both directions
  const Floats residual(checker, "residual", product({n, height, width, 3}), 1),
      first(checker, "weight", product({9, 3, 64}), 2), bias(checker, "bias", 256, 3);
  const Floats stem(checker, "output", product({n, 9, 18, 64}));
  kernels::stem<float>(stem, residual, first, bias, n, height, width, nullptr);
  constexpr int h = 9, w = 18, middle = 128, oc = 256;
  const Floats reduce(checker, "weight", product({64, middle}), 4),
      spatial(checker, "weight", product({9, middle, middle}), 5), expand(checker, "weight", product({middle, oc}), 6),
      project(checker, "weight", product({64, oc}), 7);
  const Floats reduced(checker, "output", product({n, h, w, middle})),
      narrow(checker, "output", product({n, h, w, 64})), halved(checker, "output", product({n, 5, 9, middle})),
      maps(checker, "output", product({n, 5, 9, oc})), pooled(checker, "maps", product({n, oc, 5 * 9}));
  kernels::padded_conv({reduced, stem, reduce, bias, nullptr, n, h, w, 64, middle}, nullptr);
  kernels::padded_conv({narrow, stem, spatial, bias, nullptr, n, h, w, 64, 64, 3}, nullptr);
  kernels::padded_conv({halved, reduced, spatial, bias, nullptr, n, h, w, middle, middle, 3, 2}, nullptr);
  kernels::padded_conv({maps, stem, project, bias, nullptr, n, h, w, 64, oc, 1, 2, false}, nullptr);
  kernels::padded_conv({maps, halved, expand, bias, maps, n, 5, 9, middle, oc}, nullptr);
  kernels::padded_conv({nullptr, halved, expand, bias, maps, n, 5, 9, middle, oc, 1, 1, true, pooled}, nullptr);
}

template <typename T>
void resnet_tensor(simt::MemoryChecker& checker) {
  constexpr int n = 2, height = 35, width = 70, h = 9, w = 18, middle = 128, oc = 256;
  const Floats residual(checker, "residual", product({n, height, width, 3}), 1),
      first(checker, "weight", product({9, 3, 64}), 2), bias(checker, "bias", oc, 3);
  const WatchedArray<T> weight(checker, "weight", product({9, middle, middle}), 0);
  const WatchedArray<T> stem(checker, "output", product({n, h, w, 64})),
      narrow(checker, "output", product({n, h, w, 64})), reduced(checker, "output", product({n, h, w, middle})),
      halved(checker, "output", product({n, 5, 9, middle})), out(checker, "output", product({n, 5, 9, oc}));
  const Floats maps(checker, "maps", product({n, oc, 5 * 9}));
  kernels::stem<T>(stem, residual, first, bias, n, height, width, nullptr);
  kernels::padded_conv_tensor<T>({narrow, stem, weight, bias, nullptr, n, h, w, 64, 64, 3}, nullptr);
  kernels::padded_conv_tensor<T>({reduced, stem, weight, bias, nullptr, n, h, w, 64, middle}, nullptr);
  kernels::padded_conv_tensor<T>({halved, reduced, weight, bias, nullptr, n, h, w, middle, middle, 3, 2}, nullptr);
  kernels::padded_conv_tensor<T>({out, stem, weight, bias, nullptr, n, h, w, 64, oc, 1, 2, false}, nullptr);
  kernels::padded_conv_tensor<T>({out, halved, weight, bias, out, n, 5, 9, middle, oc}, nullptr);
  kernels::padded_conv_tensor<T>({nullptr, halved, weight, bias, out, n, 5, 9, middle, oc, 1, 1, true, maps}, nullptr);
}

void around_libraries(simt::MemoryChecker& checker) {
  constexpr int n = 2, h = 5, w = 8, c = 64;
  const Floats input(checker, "input", product({n, h, w, c}), 1), unfolded(checker, "output", product({n, 4, 7, 4, c}));
  kernels::unfold(unfolded, input, n, h, w, c * static_cast<int>(sizeof(float)), nullptr);
  const Floats pooled(checker, "output", product({n, 2, 4, c}));
  kernels::max_pool_of_relu(pooled, input, n, h, w, c, sizeof(float), nullptr);
}

}  // namespace

void run_inference_kernels(simt::MemoryChecker& checker) {
  first_block(checker);
  first_block_tensor<kernels::Half>(checker);
  first_block_tensor<kernels::Bfloat16>(checker);
  first_block_tensor<kernels::Tf32>(checker);
  convolution(checker);
  winograd(checker);
  tensor_cores<kernels::Half>(checker);
  tensor_cores<kernels::Bfloat16>(checker);
  tensor_cores<kernels::Tf32>(checker);
  projection(checker);
  pooling_and_head(checker);
  resnet(checker);
  resnet_tensor<kernels::Half>(checker);
  resnet_tensor<kernels::Bfloat16>(checker);
  resnet_tensor<kernels::Tf32>(checker);
  around_libraries(checker);
}

}  // namespace lfm::test
