// lfm-bench: every benchmark that is a program of this project, a subcommand each. bench/compare, in Python, sets
// engines beside others.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "bench/commands.h"
#include "lfm/error.h"

int main(int argc, char** argv) {
  using namespace lfm::bench;
  CLI::App app{"Benchmarks of lfm-cuda: bounds of its kernels, single operations, engines", "lfm-bench"};
  app.require_subcommand(1);
  add_gpu_commands(app);
  add_engine_command(app);
  add_training_command(app);
  add_cpu_kernels_command(app);
  add_worker_command(app);
  int threads = 1;
  CLI::App* machine = app.add_subcommand("machine", "Measures this machine's memory; prints JSON");
  machine->add_option("--threads", threads)->check(CLI::PositiveNumber);
  machine->callback([&threads] { measure_memory(threads); });
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::Error& error) {
    return app.exit(error) == 0 ? 0 : 2;  // 0: help was asked for
  } catch (const lfm::Error& error) {
    fmt::print(stderr, "lfm-bench: {}\n", error.what());
    return error.code() == lfm::ErrorCode::usage ? 2 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lfm-bench: {}\n", error.what());
    return 1;
  }
}
