#include "bench/ceilings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "bench/ceiling_kernels.h"
#include "bench/variants.h"
#if !defined(LFM_TARGET_EMULATED)
#include <cuda_runtime_api.h>
#endif

namespace lfm::bench {

namespace {

constexpr const char* kPart = "ceiling";

/// How much of each; a GPU's take milliseconds.
struct Sizes {
  std::size_t copied_floats;
  int blocks, fma_rounds, mma_rounds;
};

void time_copy(KernelTimer& timer, const Sizes& sizes) {
  const auto count = sizes.copied_floats;
  auto *to = timer.array<float>(static_cast<double>(count)), *from = timer.array<float>(static_cast<double>(count));
  const KernelWork work{.kernel = "copy within the device",
                        .activation_bytes = 2.0 * sizeof(float) * static_cast<double>(count)};
  timer.time("16 bytes a thread", work, Precision::fp32,
             [&](kernels::Stream stream) { copy_floats(to, from, count, stream); });
#if !defined(LFM_TARGET_EMULATED)
  timer.time("the driver's", work, Precision::fp32, [&](kernels::Stream stream) {
    cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToDevice, reinterpret_cast<cudaStream_t>(stream));
  });
#endif
  timer.free_arrays();
}

void time_multiply_add(KernelTimer& timer, const Sizes& sizes) {
  auto *out = timer.array<float>(256.0 * sizes.blocks), *factors = timer.array<float>(512);
  const double flops = multiply_add_operations(sizes.blocks, sizes.fma_rounds);
  timer.time("registers alone", {.kernel = "fused multiply-adds", .flops = flops}, Precision::fp32,
             [&](kernels::Stream stream) { multiply_add(out, factors, sizes.blocks, sizes.fma_rounds, stream); });
  timer.free_arrays();
}

template <typename T>
void time_mma(KernelTimer& timer, const Sizes& sizes) {
  constexpr Precision precision = kPrecisionOf<T>;
  if (!timer.runs(precision)) return;
  auto* out = timer.array<float>(128.0 * sizes.blocks);
  const auto* fragments = timer.array<T>(1024.0 * kernels::kPerWord<T>);
  const double flops = multiply_fragments_operations<T>(sizes.blocks, sizes.mma_rounds);
  timer.time(
      fmt::format("mma.sync, {}, registers alone", precision_name(precision)),
      {.kernel = "matrix product", .flops = flops, .tensor_cores = true}, precision,
      [&](kernels::Stream stream) { multiply_fragments(out, fragments, sizes.blocks, sizes.mma_rounds, stream); });
  timer.free_arrays();
}

void time_common(KernelTimer& timer, const Sizes& sizes) {
  time_copy(timer, sizes);
  time_multiply_add(timer, sizes);
  time_mma<kernels::Half>(timer, sizes);
  time_mma<kernels::Bfloat16>(timer, sizes);
  time_mma<kernels::Tf32>(timer, sizes);
}

BenchReport report_of(const Gpu& gpu, const CudaDevice& device, const KernelTimer& timer) {
  return {.mode = "ceilings",
          .device = device.name,
          .clock = device::Timestamp::clock(),
          .data_sheet = std::string(gpu.name),
          .rows = timer.rows(),
          .notes = timer.notes()};
}

}  // namespace

#if defined(LFM_TARGET_EMULATED)

BenchReport dry_run_ceilings(const Gpu& gpu) {
  const CudaDevice device{0, "emulated device", 8, 0, 0};
  KernelTimer timer(kPart, gpu, device, 1, 0, 1, 0);
  time_common(timer, {.copied_floats = 4096, .blocks = 1, .fma_rounds = 1, .mma_rounds = 1});
  BenchReport report = report_of(gpu, device, timer);
  report.notes.emplace_back("dry run on the emulated device: no time here is a GPU's");
  return report;
}

#else

namespace {

template <typename T>
void time_product(KernelTimer& timer, Cublas& cublas, Precision precision, int side) {
  if (!timer.runs(precision)) return;
  const double items = 1.0 * side * side;
  auto *c = timer.array<T>(items), *a = timer.array<T>(items), *b = timer.array<T>(items);
  const KernelWork work{.kernel = "matrix product",
                        .flops = 2.0 * side * side * side,
                        .activation_bytes = 3 * items * sizeof(T),
                        .tensor_cores = precision != Precision::fp32};
  time_library<CublasProduct>(timer, cublas,
                              ProductProblem{.rows = side, .columns = side, .depth = side, .precision = precision},
                              CublasProduct::Arrays{c, a, b, nullptr, nullptr},
                              fmt::format("cuBLAS, {0}, {1} x {1} x {1}", precision_name(precision), side), work);
  timer.free_arrays();
}

/// Over the bus, from and to memory that the device can reach; no data sheet of a GPU tells how fast.
void time_bus(KernelTimer& timer, const CudaDevice& device) {
  constexpr std::size_t bytes = std::size_t{256} << 20;
  const device::Context context(device.ordinal);
  const device::PinnedMemory host(context, bytes);
  auto* data = timer.array<std::uint8_t>(static_cast<double>(bytes));
  for (const auto& [name, kind] :
       {std::pair("copy from the host", cudaMemcpyHostToDevice), {"copy to the host", cudaMemcpyDeviceToHost}}) {
    const bool to_device = kind == cudaMemcpyHostToDevice;
    timer.time("page-locked memory", {.kernel = name, .activation_bytes = static_cast<double>(bytes)}, Precision::fp32,
               [&](kernels::Stream stream) {
                 cudaMemcpyAsync(to_device ? static_cast<void*>(data) : host.data(),
                                 to_device ? static_cast<const void*>(host.data()) : data, bytes, kind,
                                 reinterpret_cast<cudaStream_t>(stream));
               });
  }
  timer.free_arrays();
}

}  // namespace

BenchReport time_ceilings(const Gpu& gpu, const CudaDevice& device, int samples) {
  constexpr double kSampleMicroseconds = 10000;
  KernelTimer timer(kPart, gpu, device, 1, 0, samples, kSampleMicroseconds);
  time_common(timer, {.copied_floats = std::size_t{1} << 28, .blocks = 1 << 17, .fma_rounds = 32, .mma_rounds = 32});
  OptionalLibrary<Cublas> cublas;
  if (cublas.library) {
    time_product<kernels::Half>(timer, *cublas.library, Precision::fp16, 8192);
    time_product<kernels::Bfloat16>(timer, *cublas.library, Precision::bf16, 8192);
    time_product<float>(timer, *cublas.library, Precision::tf32, 8192);
    time_product<float>(timer, *cublas.library, Precision::fp32, 4096);
  }
  time_bus(timer, device);
  BenchReport report = report_of(gpu, device, timer);
  for (Measurement& row : report.rows) {
    if (row.operation.ends_with("the host")) row.share_of_bound = 0;
  }
  if (!cublas.library) report.notes.push_back("cuBLAS was not timed: " + cublas.missing);
  return report;
}

#endif

}  // namespace lfm::bench
