// What `lfm-cuda bench` measures.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "src/engine/engine.h"
#include "src/report/measurement.h"

namespace lfm {

struct BenchOptions {
  std::string device = "auto";
  std::string precision = "auto";
  std::string kernels = "own";
  std::filesystem::path model;
  int batch = 64, size = 256, iterations = 50, warm_up = 10, threads = 0;
  int profile = 0;  ///< batches a profiler sees; 0: time instead
  bool resident = false, training = false, compare_kernels = false, json = false;
};

/// An engine, and batches of random pixels for it.
class BenchSubject {
 public:
  explicit BenchSubject(const BenchOptions& options);

  Engine& engine() const { return *engine_; }
  const Architecture& architecture() const { return model_.architecture; }
  int batch() const { return options_.batch; }
  int size() const { return options_.size; }
  int iterations() const { return options_.iterations; }
  bool training() const { return options_.training; }
  int warm_up() const { return options_.warm_up; }
  /// The library that computes an observed stage, "cuDNN", or libraries, "cuDNN, cuBLAS"; empty where the engine does.
  std::string computed_by(std::size_t observed) const;
  Precision precision() const {
    return engine_->precision(options_.training ? PlanMode::training : PlanMode::inference);
  }

  /// That many batches, each of other pixels: in the host memory that the engine reads fastest, or where it computes.
  std::vector<PixelBatch> batches(std::size_t count, PixelMemory memory);

 private:
  const BenchOptions& options_;
  Model model_;
  std::unique_ptr<Engine> engine_;
  std::vector<PixelBuffer> buffers_;  // go before the engine
};

/// Batches from pixels in the host's memory to logits there, overlapping where the engine can, and alone; and a pass's
/// layers.
BenchReport time_end_to_end(BenchSubject& subject);
/// Batches from pixels on the device to logits there, and a pass's layers.
BenchReport time_resident(BenchSubject& subject);
/// The same with the engine's own kernels and with each library's; a library that can't be had is a row that says why.
/// Throws where the engine's own can't be timed, and as its device takes no libraries.
BenchReport compare_kernels(const BenchOptions& options);
/// Training steps, from pixels in the host's memory to moved parameters, and their stages.
BenchReport time_training(BenchSubject& subject);

/// Runs the batches that one of the above times, `count` of them between the CUDA profiler's start and stop.
void run_for_profiler(BenchSubject& subject, const BenchOptions& options, int count);

}  // namespace lfm
