// lfm-bench roofline: what a GPU could at most reach, from shapes alone.  lfm-bench kernels: what this machine's GPU does.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bench/kernel_variants.h"
#include "bench/roofline.h"
#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"

int main(int argc, char** argv) {
  using namespace lfm;
  CLI::App app{"Bounds and measurements of the CUDA kernels", "lfm-bench"};
  app.require_subcommand(1);

  std::string gpu = "a6000", precision = "fp16";
  int batch = 64, size = 256, iterations = 20;
  CLI::App* roofline = app.add_subcommand("roofline", "Bounds from shapes and data sheets alone; nothing is measured");
  roofline->add_option("--gpu", gpu, "a6000, 4090 or h100")->capture_default_str();
  roofline->add_option("--precision", precision, "fp32, tf32, fp16 or bf16")->capture_default_str();
  CLI::App* kernels = app.add_subcommand("kernels", "Times every variant of each operation on this machine's GPU, by CUDA events");
  kernels->add_option("--iterations", iterations)->check(CLI::Range(1, 100000))->capture_default_str();
  kernels->add_option("--gpu", gpu, "Whose data sheet the shares are counted by")->capture_default_str();
  for (CLI::App* command : {roofline, kernels}) {
    command->add_option("--batch", batch)->check(CLI::Range(1, 4096))->capture_default_str();
    command->add_option("--size", size, "Side of the images")->check(CLI::Range(48, 4096))->capture_default_str();
  }
  CLI11_PARSE(app, argc, argv);

  try {
    if (roofline->parsed()) {
      fmt::print("{}", bench::roofline_table(bench::find_gpu(gpu), parse_precision(precision), batch, size));
      return 0;
    }
    if (const CudaDevices found = cuda_devices(); found.devices.empty()) {
      fmt::print("nothing was timed: {}\n", found.reason);
      return 77;
    }
    fmt::print("{}", bench::time_kernel_variants(bench::find_gpu(gpu), batch, size, iterations));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "lfm-bench: {}\n", error.what());
    return error.code() == ErrorCode::usage ? 2 : 1;
  }
}
