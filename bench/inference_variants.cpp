// Inference: each operation's variants.
#include "bench/variants.h"
#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_tensor.h"
#include "kernels/conv2x2_wgmma.h"
#include "kernels/conv2x2_winograd.h"
#include "kernels/first_block.h"
#include "kernels/first_block_tensor.h"
#include "kernels/head.h"
#include "kernels/last_block_tensor.h"
#include "kernels/last_block_wgmma.h"
#include "kernels/pool_head.h"
#include "kernels/projection.h"
#include "kernels/residual.h"
#include "kernels/tensor_layout.h"
#include "kernels/topk_pool.h"
#include "src/model/architecture.h"

namespace lfm::bench::inline LFM_TARGET {

namespace {

template <typename T>
void time_tensor_block(KernelTimer& timer, int batch, int size, int block) {
  constexpr Precision precision = kPrecisionOf<T>;
  if (!timer.runs(precision)) return;
  const KernelWork work = inference_kernels(precision, size)[static_cast<std::size_t>(block)];
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1], out = shape.out[block];
  const int ic = kChannels[block], oc = kChannels[block + 1];
  const auto* input = timer.array<T>(1.0 * batch * in.area() * ic);
  const auto* weight = timer.array<T>(4.0 * ic * oc + 1.0 * oc * kMapChannels);
  const auto* bias = timer.array<float>(oc);
  const std::string variant = fmt::format("tensor cores, {}", precision_name(precision)),
                    by_warpgroups = fmt::format("warpgroups, {}", precision_name(precision));
  if (block + 1 < kBlocks) {
    auto* output = timer.array<T>(1.0 * batch * out.area() * oc);
    timer.time(variant, work, precision, [&](kernels::Stream s) {
      kernels::conv2x2_tensor<T>({output, input, weight, bias, batch, in.h, in.w, ic, oc}, s);
    });
    if (timer.is_hopper()) {
      timer.time(by_warpgroups, work, precision, [&](kernels::Stream s) {
        kernels::conv2x2_wgmma<T>({output, input, weight, bias, batch, in.h, in.w, ic, oc}, s);
      });
    }
  } else {
    auto* maps = timer.array<float>(1.0 * batch * out.area() * kMapChannels);
    timer.time(variant, work, precision, [&](kernels::Stream s) {
      kernels::last_block_tensor<T>({maps, input, weight, bias, batch, in.h, in.w, ic, oc}, s);
    });
    const double tiles = 1.0 * batch * kernels::ConvTile::tiles(out.h, out.w);
    auto* scratch = timer.array<T>(tiles * kernels::ConvTile::kWidth * kernels::ConvTile::kHeight * oc);
    timer.time(variant + ", split", work, precision, [&](kernels::Stream s) {
      kernels::last_block_tensor<T>({maps, input, weight, bias, batch, in.h, in.w, ic, oc, scratch}, s);
    });
    const auto time_wgmma = [&](const std::string& name, T* split) {
      if (!timer.is_hopper()) return;
      timer.time(name, work, precision, [&](kernels::Stream s) {
        kernels::last_block_wgmma<T>({maps, input, weight, bias, batch, in.h, in.w, ic, oc, split}, s);
      });
    };
    time_wgmma(by_warpgroups, nullptr);
    time_wgmma(by_warpgroups + ", split", scratch);
  }
  timer.free_arrays();
}

#if defined(LFM_TARGET_EMULATED)

template <typename T>
void time_libraries(KernelTimer&, Libraries&, int, int, int, Precision) {}
void time_projection_library(KernelTimer&, Libraries&, float*, const float*, const float*, int, const KernelWork&) {}

#else

// What cuDNN and cuBLAS do of a block: the convolution with bias and ReLU, but not pooled; the product alone, its input
// as if already unrolled.
template <typename T>
void time_libraries(KernelTimer& timer, Libraries& libraries, int batch, int size, int block, Precision precision) {
  if (!timer.runs(precision)) return;
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1];
  const int ic = kChannels[block], oc = kChannels[block + 1], outputs = batch * (in.h - 1) * (in.w - 1);
  KernelWork work = direct_convolution(block, size);
  work.tensor_cores = precision != Precision::fp32;
  work.activation_bytes = (1.0 * in.area() * ic + 1.0 * outputs / batch * oc) * sizeof(T);
  auto *output = timer.array<T>(1.0 * outputs * oc), *weight = timer.array<T>(4.0 * ic * oc);
  const auto* bias = timer.array<T>(oc);
  const std::string_view name = precision_name(precision);
  if (libraries.cudnn.library) {
    auto* input = timer.array<T>(1.0 * batch * in.area() * ic);
    time_library<CudnnConvolution>(timer, *libraries.cudnn.library,
                                   ConvolutionProblem{ConvolutionPass::forward, batch, in.h, in.w, ic, oc, precision},
                                   CudnnConvolution::Arrays{input, weight, output, bias, nullptr},
                                   fmt::format("cuDNN, {}, not pooled", name), work);
  }
  if (libraries.cublas.library) {
    const auto* unrolled = timer.array<T>(4.0 * outputs * ic);
    work.activation_bytes = 1.0 * outputs / batch * (4.0 * ic + oc) * sizeof(T);
    time_library<CublasProduct>(timer, *libraries.cublas.library,
                                ProductProblem{.rows = oc, .columns = outputs, .depth = 4 * ic, .precision = precision},
                                CublasProduct::Arrays{output, weight, unrolled, nullptr, nullptr},
                                fmt::format("cuBLAS, {}, the product alone", name), work);
  }
  timer.free_arrays();
}

void time_projection_library(KernelTimer& timer, Libraries& libraries, float* maps, const float* input,
                             const float* weight, int positions, const KernelWork& work) {
  if (!libraries.cublas.library) return;
  time_library<CublasProduct>(timer, *libraries.cublas.library,
                              ProductProblem{.rows = positions, .columns = kMapChannels, .depth = kChannels[kBlocks]},
                              CublasProduct::Arrays{maps, input, weight, nullptr, nullptr}, "cuBLAS, fp32", work);
}

#endif

void time_first_block(KernelTimer& timer, int batch, int size, const KernelWork& work) {
  const MapSize out = network_shape({}, size, size).out[0];
  const auto* pixels = timer.array<std::uint8_t>(3.0 * batch * size * size);
  const auto *weight = timer.array<float>(12 * 64), *bias = timer.array<float>(64);
  auto *residual = timer.array<float>(3.0 * batch * size * size),
       *output = timer.array<float>(1.0 * batch * out.area() * 64);
  timer.time("residual, then conv2x2_naive", work, Precision::fp32, [&](kernels::Stream s) {
    kernels::residual(FrontEnd::npr, residual, pixels, batch, size, size, s);
    kernels::conv2x2_naive({output, residual, weight, bias, batch, size & ~1, size & ~1, 3, 64},
                           kernels::Epilogue::bias_relu_pool, s);
  });
  timer.time("fused", work, Precision::fp32, [&](kernels::Stream s) {
    kernels::first_block<float>(output, pixels, weight, bias, batch, size, size, s);
  });
  const auto tensor = [&]<typename T>(const char* variant, T* rounded, Precision precision) {
    if (!timer.runs(precision)) return;
    timer.time(variant, inference_kernels(precision, size)[0], precision, [&](kernels::Stream s) {
      kernels::first_block_tensor(rounded, pixels, weight, bias, batch, size, size, s);
    });
  };
  tensor("fused, tensor cores, tf32", reinterpret_cast<kernels::Tf32*>(output), Precision::tf32);
  tensor("fused, tensor cores, bf16", reinterpret_cast<kernels::Bfloat16*>(output), Precision::bf16);
  tensor("fused, tensor cores, fp16", reinterpret_cast<kernels::Half*>(output), Precision::fp16);
  timer.free_arrays();
}

void time_block(KernelTimer& timer, int batch, int size, int block, const KernelWork& work) {
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1], out = shape.out[block];
  const int ic = kChannels[block], oc = kChannels[block + 1];
  const auto epilogue = block + 1 < kBlocks ? kernels::Epilogue::bias_relu_pool : kernels::Epilogue::bias_relu;
  const kernels::Conv2x2 conv{timer.array<float>(1.0 * batch * out.area() * oc),
                              timer.array<float>(1.0 * batch * in.area() * ic),
                              timer.array<float>(9.0 * ic * oc),
                              timer.array<float>(oc),
                              batch,
                              in.h,
                              in.w,
                              ic,
                              oc};
  const KernelWork direct = direct_convolution(block, size);
  timer.time("naive", direct, Precision::fp32, [&](kernels::Stream s) { kernels::conv2x2_naive(conv, epilogue, s); });
  timer.time("FFMA, register-tiled", direct, Precision::fp32,
             [&](kernels::Stream s) { kernels::conv2x2_direct(conv, epilogue, s); });
  timer.time("FFMA, Winograd", work, Precision::fp32,
             [&](kernels::Stream s) { kernels::conv2x2_winograd(conv, epilogue, s); });
  timer.free_arrays();
}

void time_behind_the_blocks(KernelTimer& timer, Libraries& libraries, int batch, int size,
                            const std::vector<KernelWork>& work, const KernelWork& fused) {
  const int area = network_shape({}, size, size).maps().area(), k = Architecture{}.k, features = kMapChannels * k;
  const auto *input = timer.array<float>(1.0 * batch * area * kChannels[kBlocks]),
             *weight = timer.array<float>(512.0 * 64);
  auto *maps = timer.array<float>(1.0 * batch * area * kMapChannels),
       *values = timer.array<float>(1.0 * batch * features);
  const auto *head = timer.array<float>(features), *bias = timer.array<float>(1);
  auto* logits = timer.array<float>(batch);
  timer.time("naive", work[4], Precision::fp32, [&](kernels::Stream s) {
    kernels::projection_naive(maps, input, weight, batch, area, kChannels[kBlocks], s);
  });
  timer.time("FFMA, register-tiled", work[4], Precision::fp32,
             [&](kernels::Stream s) { kernels::projection(maps, input, weight, batch, area, kChannels[kBlocks], s); });
  time_projection_library(timer, libraries, maps, input, weight, batch * area, work[4]);
  timer.time("a warp a map", work[5], Precision::fp32,
             [&](kernels::Stream s) { kernels::topk_pool(values, nullptr, maps, batch * kMapChannels, area, k, s); });
  timer.time("a warp an image", work[6], Precision::fp32,
             [&](kernels::Stream s) { kernels::head(logits, values, head, bias, batch, features, 1, s); });
  timer.time("both in one", fused, Precision::fp32, [&](kernels::Stream s) {
    kernels::pool_head(logits, values, maps, head, bias, batch, kMapChannels, area, k, s);
  });
  timer.free_arrays();
}

}  // namespace

void time_inference_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size) {
  const std::vector<KernelWork> work = inference_kernels(Precision::fp32, size);
  time_first_block(timer, batch, size, work[0]);
  for (int block = 1; block < kBlocks; ++block) {
    time_block(timer, batch, size, block, work[static_cast<std::size_t>(block)]);
    time_tensor_block<kernels::Tf32>(timer, batch, size, block);
    time_tensor_block<kernels::Bfloat16>(timer, batch, size, block);
    time_tensor_block<kernels::Half>(timer, batch, size, block);
    time_libraries<float>(timer, libraries, batch, size, block, Precision::fp32);
    time_libraries<float>(timer, libraries, batch, size, block, Precision::tf32);
    time_libraries<kernels::Bfloat16>(timer, libraries, batch, size, block, Precision::bf16);
    time_libraries<kernels::Half>(timer, libraries, batch, size, block, Precision::fp16);
  }
  time_behind_the_blocks(timer, libraries, batch, size, work, inference_kernels(Precision::fp16, size).back());
}

}  // namespace lfm::bench::inline LFM_TARGET
