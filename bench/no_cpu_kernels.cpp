// lfm-bench without Google Benchmark.
#include <CLI/CLI.hpp>

#include "bench/commands.h"
#include "lfm/error.h"

void lfm::bench::add_cpu_kernels_command(CLI::App& app) {
  app.add_subcommand("cpu-kernels", "Single operations of the CPU; not in this build, which has no Google Benchmark")
      ->callback([] {
        throw Error(ErrorCode::usage,
                    "this build has no Google Benchmark; install libbenchmark-dev and build with -DLFM_BENCH=ON");
      });
}
