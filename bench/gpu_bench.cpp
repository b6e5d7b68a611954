// lfm-bench roofline: what a GPU could at most reach, from shapes alone.
// lfm-bench kernels: what this machine's GPU does.
// lfm-bench ceilings: what that GPU reaches at all.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/commands.h"
#include "bench/kernel_variants.h"
#include "bench/roofline.h"
#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"

namespace lfm::bench {
namespace {

struct Options {
  std::string gpu = "a6000", precision = "fp16";
  int batch = 64, size = 256, iterations = 20;
  bool training = false, emulated = false, json = false;
};

void print_roofline(const Options& o) {
  const Precision p = parse_precision(o.precision);
  if (o.training && p == Precision::fp16)
    throw Error(ErrorCode::usage, "training is in fp32, tf32 or bf16: choose one with --precision");
  const auto work = o.training ? training_kernels(p, o.batch, o.size) : inference_kernels(p, o.size);
  fmt::print("{}", roofline_table(find_gpu(o.gpu), work, p, o.batch, o.size));
}

enum class Measured { kernels, ceilings };

void measure(const Options& o, Measured what) {
  const CudaDevices found = cuda_devices();
  if (!o.emulated && found.devices.empty()) {
    fmt::print(stderr, "nothing was timed: {}\n", found.reason);
    throw CLI::RuntimeError(77);
  }
  const Gpu& sheet = find_gpu(o.gpu);
  const auto report = [&] {
    if (what == Measured::ceilings) {
      return o.emulated ? dry_run_ceilings(sheet) : time_ceilings(sheet, found.devices.front(), o.iterations);
    }
    return o.emulated ? dry_run_kernel_variants(sheet, o.batch, o.size)
                      : time_kernel_variants(sheet, found.devices.front(), o.batch, o.size, o.iterations);
  }();
  fmt::print("{}", o.json ? bench_json(report) : kernel_tables(report));
}

}  // namespace

void add_gpu_commands(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* roofline = app.add_subcommand("roofline", "Bounds from shapes and data sheets alone; nothing is measured");
  roofline->add_option("--gpu", o->gpu, gpu_keys())->capture_default_str();
  roofline->add_option("--precision", o->precision, "fp32, tf32, fp16 or bf16")->capture_default_str();
  roofline->add_flag("--training", o->training,
                     "Of a training step; on the paper's protocol with --batch 32 --size 224");
  CLI::App* kernels =
      app.add_subcommand("kernels", "Times every variant of each operation on this machine's GPU, by CUDA events");
  CLI::App* ceilings = app.add_subcommand(
      "ceilings", "Measures what this machine's GPU reaches at all: copies, arithmetic, matrix products");
  for (CLI::App* command : {kernels, ceilings}) {
    command
        ->add_option("--iterations", o->iterations,
                     "Samples of each row; one is the mean of the launches of some milliseconds")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    command->add_option("--gpu", o->gpu, "Whose data sheet the shares are counted by")->capture_default_str();
    command->add_flag("--json", o->json, "Print JSON, as bench/README.md tells");
    command->add_flag("--emulated", o->emulated,
                      "Dry run: each launch once, on the emulated device, by its host's clock");
  }
  for (CLI::App* command : {roofline, kernels}) {
    command->add_option("--batch", o->batch)->check(CLI::Range(1, 4096))->capture_default_str();
    command->add_option("--size", o->size, "Side of the images")->check(CLI::Range(48, 4096))->capture_default_str();
  }
  roofline->callback([o] { print_roofline(*o); });
  kernels->callback([o] { measure(*o, Measured::kernels); });
  ceilings->callback([o] { measure(*o, Measured::ceilings); });
}

}  // namespace lfm::bench
