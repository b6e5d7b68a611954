#include "bench/kernel_variants.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "bench/variants.h"

namespace lfm::bench {

namespace {

std::string time_both(KernelTimer& inference, KernelTimer& training, Libraries& libraries, int batch, int size, int training_size) {
  time_inference_kernels(inference, libraries, batch, size);
  time_training_kernels(training, libraries, batch, training_size);
  return fmt::format("Inference, {0} images of {1}x{1}\n\n{2}\nTraining, {0} images of {3}x{3}\n\n{4}", batch, size, inference.table(), training_size,
                     training.table());
}

}  // namespace

#if defined(LFM_TARGET_EMULATED)

std::string dry_run_kernel_variants(const Gpu& gpu, int batch, int size) {
  const CudaDevice device{0, "emulated device", 8, 0, 0};
  KernelTimer inference(gpu, device, batch, 0, 1), training(gpu, device, batch, 0, 1);
  Libraries none;
  return "Dry run on the emulated device: no time here is a GPU's\n\n" + time_both(inference, training, none, batch, size, size);
}

#else

std::string time_kernel_variants(const Gpu& gpu, const CudaDevice& device, int batch, int size, int iterations) {
  constexpr int kTrainingSize = 224;  // of the paper's crop
  KernelTimer inference(gpu, device, batch, 3, iterations), training(gpu, device, batch, 3, iterations);
  Libraries libraries;
  std::string text = fmt::format("{}, medians of {} launches; the bound is that of a {}\n\n", device.name, iterations, gpu.name) +
                     time_both(inference, training, libraries, batch, size, kTrainingSize);
  for (const auto& [name, missing] : {std::pair("cuDNN", libraries.cudnn.missing()), std::pair("cuBLAS", libraries.cublas.missing())}) {
    if (!missing.empty()) text += fmt::format("\n{} was not timed: {}\n", name, missing);
  }
  return text;
}

#endif

}  // namespace lfm::bench
