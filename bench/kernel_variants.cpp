#include "bench/kernel_variants.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "bench/variants.h"

namespace lfm::bench {

namespace {

void time_both(BenchReport& report, KernelTimer& inference, KernelTimer& training, Libraries& libraries, int batch,
               int size, int training_size) {
  time_inference_kernels(inference, libraries, batch, size);
  time_training_kernels(training, libraries, batch, training_size);
  for (const KernelTimer* timer : {&inference, &training}) {
    report.rows.insert(report.rows.end(), timer->rows().begin(), timer->rows().end());
  }
  for (std::string& note : inference.notes()) report.notes.push_back(std::move(note));  // training leaves out no others
}

constexpr const char* kInferencePart = "inference kernel";
constexpr const char* kTrainingPart = "training kernel";

}  // namespace

#if defined(LFM_TARGET_EMULATED)

BenchReport dry_run_kernel_variants(const Gpu& gpu, int batch, int size) {
  const CudaDevice device{0, "emulated device", 8, 0, 0};
  KernelTimer inference(kInferencePart, gpu, device, batch, size, 1, 0),
      training(kTrainingPart, gpu, device, batch, size, 1, 0);
  Libraries none;
  BenchReport report{.mode = "kernels",
                     .device = device.name,
                     .clock = device::Timestamp::clock(),
                     .data_sheet = std::string(gpu.name),
                     .rows = {},
                     .notes = {}};
  report.notes.emplace_back("dry run on the emulated device: no time here is a GPU's");
  time_both(report, inference, training, none, batch, size, size);
  return report;
}

#else

BenchReport time_kernel_variants(const Gpu& gpu, const CudaDevice& device, int batch, int size, int samples) {
  constexpr int kTrainingSize = 224;  // of the paper's crop
  constexpr double kSampleMicroseconds = 1000;
  KernelTimer inference(kInferencePart, gpu, device, batch, size, samples, kSampleMicroseconds);
  KernelTimer training(kTrainingPart, gpu, device, batch, kTrainingSize, samples, kSampleMicroseconds);
  Libraries libraries;
  BenchReport report{.mode = "kernels",
                     .device = device.name,
                     .clock = device::Timestamp::clock(),
                     .data_sheet = std::string(gpu.name),
                     .rows = {},
                     .notes = {}};
  time_both(report, inference, training, libraries, batch, size, kTrainingSize);
  for (const auto& [name, missing] :
       {std::pair("cuDNN", libraries.cudnn.missing), std::pair("cuBLAS", libraries.cublas.missing)}) {
    if (!missing.empty()) report.notes.push_back(fmt::format("{} was not timed: {}", name, missing));
  }
  return report;
}

#endif

}  // namespace lfm::bench
