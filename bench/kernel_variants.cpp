#include "bench/kernel_variants.h"

#include "lfm/error.h"

#if defined(LFM_HAVE_CUDA)

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "bench/library_kernels.h"
#include "kernels/conv2x2.h"
#include "kernels/conv2x2_tensor.h"
#include "kernels/conv2x2_winograd.h"
#include "kernels/element.h"
#include "kernels/first_block.h"
#include "kernels/head.h"
#include "kernels/last_block_tensor.h"
#include "kernels/npr.h"
#include "kernels/pool_head.h"
#include "kernels/projection.h"
#include "kernels/topk_pool.h"
#include "src/engine/cuda/device.h"
#include "src/engine/precision.h"
#include "src/model/architecture.h"

namespace lfm::bench {

namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw Error(ErrorCode::device, fmt::format("timing kernels: {}", cudaGetErrorString(error)));
}

/// Times launches on one stream; every array holds zeros, which cost a GPU what other numbers cost.
class Timer {
 public:
  Timer(const Gpu& gpu, int batch, int iterations) : gpu_(gpu), batch_(batch), iterations_(iterations), context_(0), stream_(context_) {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  template <typename T>
  T* array(double count) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
    memory_.emplace_back(context_, bytes);
    stream_.zero(memory_.back().data(), bytes);
    stream_.synchronize();
    return reinterpret_cast<T*>(memory_.back().data());
  }
  void free_arrays() { memory_.clear(); }

  void time(const std::string& variant, const KernelWork& work, Precision precision, const std::function<void(kernels::Stream)>& launch) {
    std::vector<float> times;
    for (int i = -3; i < iterations_; ++i) {
      const auto stream = reinterpret_cast<cudaStream_t>(stream_.handle());
      check(cudaEventRecord(begin_, stream));
      launch(stream_.handle());
      check(cudaEventRecord(end_, stream));
      check(cudaEventSynchronize(end_));
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin_, end_));
      if (i >= 0) times.push_back(milliseconds);
    }
    std::sort(times.begin(), times.end());
    const double us = times[times.size() / 2] * 1e3, bound = bound_of(work, gpu_, precision, batch_).us() * batch_;
    table += fmt::format("| {} | {} | {:.1f} | {:.2f} | {:.1f} | {:.0f} % |\n", work.kernel, variant, us, work.flops * batch_ / us / 1e6,
                         (work.activation_bytes * batch_ + work.weight_bytes) / us / 1e3, 100 * bound / us);
  }

  std::string table;

 private:
  const Gpu& gpu_;
  int batch_, iterations_;
  device::Context context_;
  device::Stream stream_;
  std::vector<device::Memory> memory_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

template <typename T>
constexpr Precision kPrecisionOf = Precision::tf32;
template <>
constexpr Precision kPrecisionOf<kernels::Half> = Precision::fp16;
template <>
constexpr Precision kPrecisionOf<kernels::Bfloat16> = Precision::bf16;

template <typename T>
void time_tensor_block(Timer& timer, int batch, int size, int block) {
  const Precision precision = kPrecisionOf<T>;
  const KernelWork work = inference_kernels(precision, size)[static_cast<std::size_t>(block)];
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1], out = shape.out[block];
  const int ic = kChannels[block], oc = kChannels[block + 1];
  const auto* input = timer.array<T>(1.0 * batch * in.area() * ic);
  const auto* weight = timer.array<T>(4.0 * ic * oc + 1.0 * oc * kMapChannels);
  const auto* bias = timer.array<float>(oc);
  const std::string variant = fmt::format("tensor cores, {}", precision_name(precision));
  if (block + 1 < kBlocks) {
    auto* output = timer.array<T>(1.0 * batch * out.area() * oc);
    timer.time(variant, work, precision,
               [&](kernels::Stream s) { kernels::conv2x2_tensor<T>({output, input, weight, bias, batch, in.h, in.w, ic, oc}, s); });
  } else {
    auto* maps = timer.array<float>(1.0 * batch * out.area() * kMapChannels);
    timer.time(variant, work, precision,
               [&](kernels::Stream s) { kernels::last_block_tensor<T>({maps, input, weight, bias, batch, in.h, in.w, ic, oc}, s); });
  }
  timer.free_arrays();
}

struct Libraries {
  CudnnConvolution cudnn;
  CublasProduct cublas;
};

// What cuDNN and cuBLAS do of a block: the convolution with bias and ReLU, but not pooled; the product alone, its input as if already unrolled.
template <typename T>
void time_libraries(Timer& timer, Libraries& libraries, int batch, int size, int block, Precision precision) {
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1];
  const int ic = kChannels[block], oc = kChannels[block + 1], outputs = batch * (in.h - 1) * (in.w - 1);
  KernelWork work = direct_convolution(block, size);
  work.tensor_cores = precision != Precision::fp32;
  work.activation_bytes = (1.0 * in.area() * ic + 1.0 * outputs / batch * oc) * sizeof(T);
  auto* output = timer.array<T>(1.0 * outputs * oc);
  const auto *weight = timer.array<T>(4.0 * ic * oc), *bias = timer.array<T>(oc);
  const std::string_view name = precision_name(precision);
  if (libraries.cudnn.missing().empty()) {
    const auto* input = timer.array<T>(1.0 * batch * in.area() * ic);
    const std::size_t bytes = libraries.cudnn.prepare(batch, in.h, in.w, ic, oc, precision);
    auto* workspace = timer.array<std::uint8_t>(std::max(1.0, static_cast<double>(bytes)));
    timer.time(fmt::format("cuDNN, {}, not pooled", name), work, precision,
               [&](kernels::Stream s) { libraries.cudnn.launch(output, input, weight, bias, workspace, s); });
  }
  if (libraries.cublas.missing().empty()) {
    const auto* unrolled = timer.array<T>(4.0 * outputs * ic);
    work.activation_bytes = 1.0 * outputs / batch * (4.0 * ic + oc) * sizeof(T);
    timer.time(fmt::format("cuBLAS, {}, the product alone", name), work, precision,
               [&](kernels::Stream s) { libraries.cublas.launch(output, unrolled, weight, outputs, oc, 4 * ic, precision, s); });
  }
  timer.free_arrays();
}

void time_first_block(Timer& timer, int batch, int size, const KernelWork& work) {
  const MapSize out = network_shape({}, size, size).out[0];
  const auto* pixels = timer.array<std::uint8_t>(3.0 * batch * size * size);
  const auto *weight = timer.array<float>(12 * 64), *bias = timer.array<float>(64);
  auto *residual = timer.array<float>(3.0 * batch * size * size), *output = timer.array<float>(1.0 * batch * out.area() * 64);
  timer.time("npr, then conv2x2_naive", work, Precision::fp32, [&](kernels::Stream s) {
    kernels::npr(residual, pixels, batch, size, size, s);
    kernels::conv2x2_naive({output, residual, weight, bias, batch, size & ~1, size & ~1, 3, 64}, kernels::Epilogue::bias_relu_pool, s);
  });
  timer.time("fused", work, Precision::fp32,
             [&](kernels::Stream s) { kernels::first_block<float>(output, pixels, weight, bias, batch, size, size, s); });
  timer.free_arrays();
}

void time_block(Timer& timer, int batch, int size, int block, const KernelWork& work) {
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1], out = shape.out[block];
  const int ic = kChannels[block], oc = kChannels[block + 1];
  const auto epilogue = block + 1 < kBlocks ? kernels::Epilogue::bias_relu_pool : kernels::Epilogue::bias_relu;
  const kernels::Conv2x2 conv{timer.array<float>(1.0 * batch * out.area() * oc), timer.array<float>(1.0 * batch * in.area() * ic),
                              timer.array<float>(9.0 * ic * oc), timer.array<float>(oc), batch, in.h, in.w, ic, oc};
  const KernelWork direct = direct_convolution(block, size);
  timer.time("naive", direct, Precision::fp32, [&](kernels::Stream s) { kernels::conv2x2_naive(conv, epilogue, s); });
  timer.time("FFMA, register-tiled", direct, Precision::fp32, [&](kernels::Stream s) { kernels::conv2x2(conv, epilogue, s); });
  timer.time("FFMA, Winograd", work, Precision::fp32, [&](kernels::Stream s) { kernels::conv2x2_winograd(conv, epilogue, s); });
  timer.free_arrays();
}

void time_behind_the_blocks(Timer& timer, Libraries& libraries, int batch, int size, const std::vector<KernelWork>& work, const KernelWork& fused) {
  const int area = network_shape({}, size, size).maps().area(), k = Architecture{}.k, features = kMapChannels * k;
  const auto *input = timer.array<float>(1.0 * batch * area * kChannels[kBlocks]), *weight = timer.array<float>(512.0 * 64);
  auto *maps = timer.array<float>(1.0 * batch * area * kMapChannels), *values = timer.array<float>(1.0 * batch * features);
  const auto *head = timer.array<float>(features), *bias = timer.array<float>(1);
  auto* logits = timer.array<float>(batch);
  timer.time("naive", work[4], Precision::fp32,
             [&](kernels::Stream s) { kernels::projection_naive(maps, input, weight, batch, area, kChannels[kBlocks], s); });
  timer.time("FFMA, register-tiled", work[4], Precision::fp32,
             [&](kernels::Stream s) { kernels::projection(maps, input, weight, batch, area, kChannels[kBlocks], s); });
  if (libraries.cublas.missing().empty()) {
    timer.time("cuBLAS, fp32", work[4], Precision::fp32, [&](kernels::Stream s) {
      libraries.cublas.launch(maps, input, weight, batch * area, kMapChannels, kChannels[kBlocks], Precision::fp32, s);
    });
  }
  timer.time("a warp a map", work[5], Precision::fp32,
             [&](kernels::Stream s) { kernels::topk_pool(values, nullptr, maps, batch * kMapChannels, area, k, s); });
  timer.time("a warp an image", work[6], Precision::fp32,
             [&](kernels::Stream s) { kernels::head(logits, values, head, bias, batch, features, s); });
  timer.time("both in one", fused, Precision::fp32,
             [&](kernels::Stream s) { kernels::pool_head(logits, values, maps, head, bias, batch, kMapChannels, area, k, s); });
  timer.free_arrays();
}

}  // namespace

std::string time_kernel_variants(const Gpu& gpu, int batch, int size, int iterations) {
  Timer timer(gpu, batch, iterations);
  timer.table = fmt::format(
      "{} images of {}x{}, medians of {} launches; the bound is that of a {}\n\n"
      "| operation | variant | us | TFLOP/s | GB/s | of the bound |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
      batch, size, size, iterations, gpu.name);
  const std::vector<KernelWork> work = inference_kernels(Precision::fp32, size);
  Libraries libraries;
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
  for (const auto& [name, missing] : {std::pair("cuDNN", libraries.cudnn.missing()), std::pair("cuBLAS", libraries.cublas.missing())}) {
    if (!missing.empty()) timer.table += fmt::format("\n{} was not timed: {}\n", name, missing);
  }
  return timer.table;
}

}  // namespace lfm::bench

#else

namespace lfm::bench {

std::string time_kernel_variants(const Gpu&, int, int, int) { throw Error(ErrorCode::device, "this build has no CUDA kernels to time"); }

}  // namespace lfm::bench

#endif
