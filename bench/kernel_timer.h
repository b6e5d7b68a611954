// Times launches: on a GPU by CUDA events, on the emulated device, where times mean nothing, by the host's clock.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/roofline.h"
#include "kernels/element.h"
#include "src/engine/cuda/device.h"
#include "src/engine/cuda/precisions.h"
#include "src/engine/precision.h"
#if defined(LFM_TARGET_EMULATED)
#include <chrono>
#else
#include <cuda_runtime_api.h>

#include "lfm/error.h"
#endif

namespace lfm::bench::inline LFM_TARGET {

#if defined(LFM_TARGET_EMULATED)

/// The time between two points of a stream.
class StopWatch {
 public:
  explicit StopWatch(device::Stream& stream) : stream_(stream) {}
  void begin() { begin_ = std::chrono::steady_clock::now(); }
  double end_us() {
    stream_.synchronize();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  device::Stream& stream_;
  std::chrono::steady_clock::time_point begin_;
};

#else

class StopWatch {
 public:
  explicit StopWatch(device::Stream& stream) : stream_(reinterpret_cast<cudaStream_t>(stream.handle())) {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  ~StopWatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;
  void begin() { check(cudaEventRecord(begin_, stream_)); }
  double end_us() {
    check(cudaEventRecord(end_, stream_));
    check(cudaEventSynchronize(end_));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return double{milliseconds} * 1e3;
  }

 private:
  static void check(cudaError_t error) {
    if (error != cudaSuccess) throw Error(ErrorCode::device, fmt::format("timing kernels: {}", cudaGetErrorString(error)));
  }

  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

#endif

class KernelTimer {
 public:
  /// warm_ups: launches before the first that counts.
  KernelTimer(const Gpu& gpu, const CudaDevice& device, int batch, int warm_ups, int iterations)
      : gpu_(gpu), device_(device), batch_(batch), warm_ups_(warm_ups), iterations_(iterations), context_(device.ordinal), stream_(context_),
        watch_(stream_) {}

  /// Device memory until free_arrays(). Numbers in [-1, 1), bytes at random, integers zero: a GPU's clocks depend on what its
  /// multipliers see, and zeros would flatter.
  template <typename T>
  T* array(double count) {
    const auto items = static_cast<std::size_t>(count);
    memory_.emplace_back(context_, items * sizeof(T));
    auto* data = reinterpret_cast<T*>(memory_.back().data());
    const std::size_t pattern_items = std::min(items, std::size_t{1} << 20);
    const device::PinnedMemory pattern(context_, pattern_items * sizeof(T));
    auto* values = reinterpret_cast<T*>(pattern.data());
    std::mt19937 random(1);
    for (std::size_t i = 0; i < pattern_items; ++i) {
      if constexpr (sizeof(T) == 1) {
        values[i] = static_cast<T>(random());
      } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, double>) {
        values[i] = T{};
      } else {
        const float value = static_cast<float>(random()) * 0x1p-31f - 1.0f;
        if constexpr (std::is_same_v<T, float>) {
          values[i] = value;
        } else {
          values[i] = kernels::round_to<T>(value);
        }
      }
    }
    for (std::size_t at = 0; at < items; at += pattern_items) {
      stream_.copy_to_device(data + at, values, std::min(pattern_items, items - at) * sizeof(T));
    }
    stream_.synchronize();
    return data;
  }
  void free_arrays() { memory_.clear(); }

  /// Whether the device can run kernels of this precision; where not, says so below the table.
  bool runs(Precision precision) {
    if (multiplies(device_, precision)) return true;
    left_out_.insert(precision);
    return false;
  }

  /// A row of the table: the median launch. `launch` gives its kernels to the stream.
  void time(const std::string& variant, const KernelWork& work, Precision precision, const std::function<void(kernels::Stream)>& launch) {
    std::vector<double> times;
    for (int i = -warm_ups_; i < iterations_; ++i) {
      watch_.begin();
      launch(stream_.handle());
      const double us = watch_.end_us();
      if (i >= 0) times.push_back(us);
    }
    std::sort(times.begin(), times.end());
    const double us = times[times.size() / 2], bound = bound_of(work, gpu_, precision, batch_).us() * batch_;
    rows_ += fmt::format("| {} | {} | {:.1f} | {:.2f} | {:.1f} | {:.0f} % |\n", work.kernel, variant, us, work.flops * batch_ / us / 1e6,
                         (work.activation_bytes * batch_ + work.weight_bytes) / us / 1e3, 100 * bound / us);
  }

  /// Markdown.
  std::string table() const {
    std::string table = "| operation | variant | us | TFLOP/s | GB/s | of the bound |\n| --- | --- | ---: | ---: | ---: | ---: |\n" + rows_;
    for (const Precision precision : left_out_) {
      table += fmt::format("\n{} was left out: the tensor cores of a {} (compute capability {}.{}) don't multiply it\n", precision_name(precision),
                           device_.name, device_.major, device_.minor);
    }
    return table;
  }

 private:
  const Gpu& gpu_;
  const CudaDevice& device_;
  int batch_, warm_ups_, iterations_;
  device::Context context_;
  device::Stream stream_;
  StopWatch watch_;
  std::vector<device::Memory> memory_;
  std::set<Precision> left_out_;
  std::string rows_;
};

}  // namespace lfm::bench::inline LFM_TARGET
