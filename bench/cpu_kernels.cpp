// Single operations on one thread, with Google Benchmark: the CPU engine's micro-kernels on every instruction
// set this machine has, and decoding and resizing.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <random>
#include <string>
#include <vector>

#include "bench/commands.h"
#include "lfm/image.h"
#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"
#include "src/image/file.h"

namespace lfm::bench {
namespace {

/// C[rows][panel] = A[rows][depth] x B[depth][panel], all of it in the L2 cache: the ceiling of every
/// convolution.
void gemm_panel(benchmark::State& state, const cpu::Kernels& kernels) {
  constexpr int rows = 168, depth = 256;
  const auto panel = static_cast<std::size_t>(kernels.fp32.panel);
  cpu::Buffer memory((rows + panel) * depth + rows * panel);
  std::fill_n(memory.data(), memory.size(), 1.0f);
  float* b = memory.data() + rows * depth;
  for ([[maybe_unused]] auto repetition : state) {
    kernels.fp32.multiply({rows, depth, memory.data(), rows * cpu::kSlab, b, b + depth * panel, panel});
    benchmark::ClobberMemory();
  }
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * rows * depth * static_cast<double>(panel),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

/// The 16 largest of each of 64 channels of 30 x 30 maps.
void top_k(benchmark::State& state, const cpu::Kernels& kernels) {
  constexpr int positions = 900, k = 16;
  std::vector<float> maps(positions * 64), sorted(k * 64), features(64 * k);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& value : maps) value = normal(random);
  for ([[maybe_unused]] auto repetition : state) {
    kernels.select_largest({maps.data(), positions, k, sorted.data(), features.data()});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * positions * 64);
}

Image noise(int width, int height) {
  Image image{width, height, {}};
  image.rgb.resize(std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  std::mt19937 random(1);
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(random());
  return image;
}

void resize(benchmark::State& state) {
  const Image image = noise(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for ([[maybe_unused]] auto repetition : state) benchmark::DoNotOptimize(resize_bilinear(image, 256, 256));
  state.SetItemsProcessed(state.iterations() * image.width * image.height);
}
BENCHMARK(resize)->Args({500, 375})->Args({4000, 3000})->Unit(benchmark::kMicrosecond);

void decode(benchmark::State& state, bool resized) {
  const auto bytes = read_file(LFM_BENCH_PHOTO, 1 << 20);
  for ([[maybe_unused]] auto repetition : state) {
    if (resized) {
      benchmark::DoNotOptimize(decode_image_resized(bytes, 256, 256));
    } else {
      benchmark::DoNotOptimize(decode_image(bytes));
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK_CAPTURE(decode, jpeg, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(decode, jpeg_resized, true)->Unit(benchmark::kMicrosecond);

void run(std::vector<std::string> arguments) {
  for (const cpu::Kernels* kernels : cpu::supported_kernels()) {
    const std::string name = kernels->name;
    benchmark::RegisterBenchmark(("gemm_panel/" + name).c_str(),
                                 [kernels](auto& state) { gemm_panel(state, *kernels); });
    benchmark::RegisterBenchmark(("top_k/" + name).c_str(), [kernels](auto& state) { top_k(state, *kernels); });
  }
  arguments.insert(arguments.begin(), "lfm-bench cpu-kernels");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) throw CLI::RuntimeError(2);
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

void add_cpu_kernels_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("cpu-kernels", "Single operations of the CPU on one thread; options are Google Benchmark's");
  command->prefix_command();
  command->set_help_flag();  // Google Benchmark has its own
  command->callback([command] { run(command->remaining()); });
}

}  // namespace lfm::bench
