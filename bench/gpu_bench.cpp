// lfm-bench roofline: what a GPU could at most reach, from shapes alone.  lfm-bench kernels: what this machine's GPU does.
// lfm-bench ceilings: what that GPU reaches at all.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bench/ceilings.h"
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
  bool training = false, emulated = false, json = false;
  CLI::App* roofline = app.add_subcommand("roofline", "Bounds from shapes and data sheets alone; nothing is measured");
  roofline->add_option("--gpu", gpu, bench::gpu_keys())->capture_default_str();
  roofline->add_option("--precision", precision, "fp32, tf32, fp16 or bf16")->capture_default_str();
  roofline->add_flag("--training", training, "Of a training step; on the paper's protocol with --batch 32 --size 224");
  CLI::App* kernels = app.add_subcommand("kernels", "Times every variant of each operation on this machine's GPU, by CUDA events");
  CLI::App* ceilings = app.add_subcommand("ceilings", "Measures what this machine's GPU reaches at all: copies, arithmetic, matrix products");
  for (CLI::App* command : {kernels, ceilings}) {
    command->add_option("--iterations", iterations, "Samples of each row; one is the mean of the launches of some milliseconds")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    command->add_option("--gpu", gpu, "Whose data sheet the shares are counted by")->capture_default_str();
    command->add_flag("--json", json, "Print JSON, as bench/README.md tells");
    command->add_flag("--emulated", emulated, "Dry run: each launch once, on the emulated device, by its host's clock");
  }
  for (CLI::App* command : {roofline, kernels}) {
    command->add_option("--batch", batch)->check(CLI::Range(1, 4096))->capture_default_str();
    command->add_option("--size", size, "Side of the images")->check(CLI::Range(48, 4096))->capture_default_str();
  }
  CLI11_PARSE(app, argc, argv);

  try {
    if (roofline->parsed()) {
      const Precision p = parse_precision(precision);
      if (training && p == Precision::fp16) throw Error(ErrorCode::usage, "training is in fp32, tf32 or bf16: choose one with --precision");
      const auto work = training ? bench::training_kernels(p, batch, size) : bench::inference_kernels(p, size);
      fmt::print("{}", bench::roofline_table(bench::find_gpu(gpu), work, p, batch, size));
      return 0;
    }
    const CudaDevices found = cuda_devices();
    if (!emulated && found.devices.empty()) {
      fmt::print(stderr, "nothing was timed: {}\n", found.reason);
      return 77;
    }
    const bench::Gpu& sheet = bench::find_gpu(gpu);
    const auto measure = [&] {
      if (ceilings->parsed()) return emulated ? bench::dry_run_ceilings(sheet) : bench::time_ceilings(sheet, found.devices.front(), iterations);
      return emulated ? bench::dry_run_kernel_variants(sheet, batch, size)
                      : bench::time_kernel_variants(sheet, found.devices.front(), batch, size, iterations);
    };
    const BenchReport report = measure();
    fmt::print("{}", json ? bench_json(report) : bench::kernel_tables(report));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "lfm-bench: {}\n", error.what());
    return error.code() == ErrorCode::usage ? 2 : 1;
  }
}
