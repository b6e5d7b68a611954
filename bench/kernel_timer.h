// Times launches: on a GPU by CUDA events, on the emulated device, where times mean nothing, by the host's clock.
//
// A sample is the mean of many launches that follow each other as one CUDA graph, so that neither the host's time to
// launch one nor the clock's resolution is in it, however short the kernel.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/roofline.h"
#include "kernels/element.h"
#include "lfm/error.h"
#include "src/engine/cuda/device.h"
#include "src/engine/cuda/precisions.h"
#include "src/engine/precision.h"
#include "src/report/measurement.h"

namespace lfm::bench::inline LFM_TARGET {

class KernelTimer {
 public:
  /// part: of the rows. samples: of each row; sample_us: how long one should take at least, 0: a single launch.
  KernelTimer(std::string part, const Gpu& gpu, const CudaDevice& device, int batch, int size, int samples,
              double sample_us)
      : part_(std::move(part)),
        gpu_(gpu),
        device_(device),
        batch_(batch),
        size_(size),
        samples_(samples),
        sample_us_(sample_us),
        context_(device.ordinal),
        stream_(context_),
        begin_(context_),
        end_(context_) {}

  /// Device memory until free_arrays(). Numbers in [-1, 1), bytes at random, integers zero: a GPU's clocks depend on
  /// what its multipliers see, and zeros would flatter.
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

  /// Whether it has Hopper's own instructions.
  bool is_hopper() const { return context_.capability() == 90; }

  /// A row of the table. `launch` gives its kernels to the stream.
  void time(const std::string& variant, const KernelWork& work, Precision precision,
            const std::function<void(kernels::Stream)>& launch) {
    Measurement row = row_of(variant, work, precision);
    try {
      row.milliseconds = spread_of(sample(launch));
      const double ms = row.milliseconds->median,
                   bound_ms = bound_of(work, gpu_, precision, batch_).us() * batch_ / 1e3;
      row.tflops = work.flops * batch_ / ms / 1e9;
      row.gigabytes_per_second = (work.activation_bytes * batch_ + work.weight_bytes) / ms / 1e6;
      row.share_of_bound = bound_ms / ms;
    } catch (const Error& error) {
      row.error = error.what();
    }
    rows_.push_back(std::move(row));
  }

  /// A row that could not be timed.
  void fail(const std::string& variant, const KernelWork& work, Precision precision, const std::string& reason) {
    rows_.push_back(row_of(variant, work, precision));
    rows_.back().error = reason;
  }

  const std::vector<Measurement>& rows() const { return rows_; }

  /// A line for each precision that was left out.
  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    for (const Precision precision : left_out_) {
      notes.push_back(
          fmt::format("{} was left out: the tensor cores of a {} (compute capability {}.{}) don't multiply it",
                      precision_name(precision), device_.name, device_.major, device_.minor));
    }
    return notes;
  }

 private:
  Measurement row_of(const std::string& variant, const KernelWork& work, Precision precision) const {
    return {.part = part_,
            .operation = work.kernel,
            .variant = variant,
            .precision = std::string(precision_name(precision)),
            .batch = batch_,
            .size = size_,
            .milliseconds = {}};
  }

  /// Milliseconds of one launch, sample by sample.
  std::vector<double> sample(const std::function<void(kernels::Stream)>& launch) {
    const auto milliseconds = [&](const std::function<void()>& work) {
      begin_.record(stream_);
      work();
      end_.record(stream_);
      return end_.milliseconds_since(begin_);
    };
    const auto launch_once = [&] { launch(stream_.handle()); };
    if (sample_us_ == 0) {
      std::vector<double> samples;
      for (int i = 0; i < samples_; ++i) samples.push_back(milliseconds(launch_once));
      return samples;
    }
    launch_once();  // what happens at the first launch alone
    constexpr int most = 200;
    const double once = milliseconds(launch_once);
    const int launches = std::clamp(static_cast<int>(sample_us_ / 1e3 / std::max(once, 1e-4)), 1, most);
    const auto launch_all = [&] {
      for (int i = 0; i < launches; ++i) launch_once();
    };
    std::function<void()> run = launch_all;
    device::Graph graph;
    try {
      graph = device::Graph(stream_, launch_all);
      run = [&] { graph.launch(stream_); };
    } catch (const Error&) {  // a library that can't be recorded is launched call by call
    }
    run();
    std::vector<double> samples;
    for (int i = 0; i < samples_; ++i) samples.push_back(milliseconds(run) / launches);
    return samples;
  }

  std::string part_;
  const Gpu& gpu_;
  const CudaDevice& device_;
  int batch_, size_, samples_;
  double sample_us_;
  device::Context context_;
  device::Stream stream_;
  device::Timestamp begin_, end_;
  std::vector<device::Memory> memory_;
  std::set<Precision> left_out_;
  std::vector<Measurement> rows_;
};

}  // namespace lfm::bench::inline LFM_TARGET
