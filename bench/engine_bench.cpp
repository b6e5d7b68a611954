// lfm-bench engine: times one engine's inference on random images: images/s, direct-equivalent GFLOP/s, per stage with
// --layers, and the micro-kernel's own SGEMM rate with --peak. --json prints one object for programs.
#include <fmt/core.h>
#if defined(__unix__)
#include <sys/resource.h>
#endif

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/commands.h"
#include "lfm/error.h"
#include "lfm/words.h"
#include "src/engine/cpu/cpu_engine.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/engine/precision.h"
#include "src/model/combination.h"
#include "src/model/initialise.h"

namespace {

using namespace lfm;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string device = "cpu";
  std::string precision = "auto";
  std::string model;
  int batch = 1, threads = 0, height = 256, width = 256, runs = 30, warm_up = 3;
  bool layers = false, peak = false, json = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double smallest(const std::vector<double>& times) { return *std::min_element(times.begin(), times.end()); }

/// Weights of the scale that PyTorch's initialisation gives, so that activations neither vanish nor overflow.
Model random_model() {
  Model model;
  model.values = initial_values(model.architecture, 1);
  return model;
}

/// Adds one batch's time per stage to times, chunked as network.cpp does.
void time_stages(Engine& engine, const PixelBatch& batch, std::span<float> logits, std::vector<double>& times) {
  const int chunk = std::min(batch.n, engine.inference().chunk(batch.height, batch.width));
  engine.reserve({chunk, batch.height, batch.width});
  for (int first = 0; first < batch.n; first += chunk) {
    const int n = std::min(chunk, batch.n - first);
    auto last = Clock::now();
    infer_pass(engine, batch.part(first, n),
               logits.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), [&](int stages) {
                 if (stages == static_cast<int>(times.size())) engine.inference().wait(0);
                 const auto now = Clock::now();
                 if (stages > 0)
                   times[static_cast<std::size_t>(stages) - 1] += std::chrono::duration<double>(now - last).count();
                 last = now;
               });
  }
}

/// GFLOP/s of C[rows][columns] = A x B with the micro-kernel, operands in L2, on every thread.
double sgemm_peak(int threads) {
  const cpu::Kernels& kernels = cpu::choose_kernels(std::getenv("LFM_CPU"));
  cpu::ThreadPool pool(threads);
  constexpr int rows = 168, depth = 256, panels = 4;
  const std::size_t floats = (rows + static_cast<std::size_t>(kernels.fp32.panel)) * depth + rows * kernels.fp32.panel;
  cpu::Buffer memory(floats * pool.threads());
  std::fill_n(memory.data(), memory.size(), 1.0f);
  double best = 1e30;
  constexpr int products = 200;
  for (int run = 0; run < 20; ++run) {
    const auto start = Clock::now();
    pool.run(pool.threads(), [&](int, int worker) {
      float* a = memory.data() + worker * floats;
      float* b = a + rows * depth;
      for (int i = 0; i < products * panels; ++i) {
        kernels.fp32.multiply({rows, depth, a, rows * cpu::kSlab, b, b + depth * kernels.fp32.panel,
                               static_cast<std::size_t>(kernels.fp32.panel)});
      }
    });
    best = std::min(best, seconds_since(start));
  }
  return 2.0 * rows * depth * kernels.fp32.panel * panels * products * pool.threads() / best / 1e9;
}

double peak_mebibytes() {
#if defined(__unix__)
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
#else
  return 0;
#endif
}

void run(const Options& options) {
  const Model model = options.model.empty() ? random_model() : one_network(load_model(options.model), options.model);
  const auto start = Clock::now();
  const auto engine =
      make_engine(parse_device(options.device), {options.threads, parse_precision(options.precision), {}});
  engine->load(model.architecture, model.values);
  const double load = seconds_since(start);

  const std::size_t n = static_cast<std::size_t>(options.batch);
  std::vector<std::uint8_t> pixels(n * 3 * options.height * options.width);
  std::mt19937 generator(2);
  std::generate(pixels.begin(), pixels.end(), [&] { return static_cast<std::uint8_t>(generator()); });
  std::vector<float> logits(n);
  const PixelBatch batch{pixels.data(), options.batch, options.height, options.width};

  std::vector<double> times;
  const std::vector<ObservedStage> layers = inference_stages(model.architecture, options.height, options.width);
  std::vector<std::vector<double>> stages(layers.size());
  for (int i = -options.warm_up; i < options.runs; ++i) {
    const auto begin = Clock::now();
    infer(*engine, model.architecture, batch, logits);
    if (i >= 0) times.push_back(seconds_since(begin));
    if (options.layers) {
      std::vector<double> pass(layers.size());
      time_stages(*engine, batch, logits, pass);
      for (std::size_t s = 0; i >= 0 && s < pass.size(); ++s) stages[s].push_back(pass[s]);
    }
  }

  const auto flops_of = [&](const ObservedStage& layer) {
    return 2.0 * static_cast<double>(n) * static_cast<double>(layer.multiply_adds);
  };
  double flops = 0;
  for (const ObservedStage& layer : layers) flops += flops_of(layer);
  nlohmann::ordered_json report = {{"engine", engine->description()},
                                   {"batch", options.batch},
                                   {"height", options.height},
                                   {"width", options.width},
                                   {"runs", options.runs},
                                   {"load_seconds", load},
                                   {"median_seconds", median(times)},
                                   {"min_seconds", smallest(times)},
                                   {"images_per_second", static_cast<double>(n) / median(times)},
                                   {"images_per_second_best", static_cast<double>(n) / smallest(times)},
                                   {"direct_gflops", flops / median(times) / 1e9},
                                   {"peak_mebibytes", peak_mebibytes()}};
  for (std::size_t s = 0; s < stages.size() && options.layers; ++s) {
    report["stages"].push_back({{"stage", layers[s].name},
                                {"median_seconds", median(stages[s])},
                                {"min_seconds", smallest(stages[s])},
                                {"direct_gflops", flops_of(layers[s]) / median(stages[s]) / 1e9}});
  }
  if (options.peak) report["sgemm_gflops"] = sgemm_peak(options.threads);

  if (options.json) {
    fmt::print("{}\n", report.dump());
    return;
  }
  fmt::print("{}: batch {} of {}x{}\n", engine->description(), options.batch, options.width, options.height);
  fmt::print(
      "  {:.1f} images/s (best {:.1f}), {:.2f} ms a batch, {:.0f} direct-equivalent GFLOP/s, load {:.1f} ms, peak "
      "{:.0f} MiB\n",
      report["images_per_second"].get<double>(), report["images_per_second_best"].get<double>(), median(times) * 1e3,
      flops / median(times) / 1e9, load * 1e3, peak_mebibytes());
  for (const auto& stage : report.value("stages", nlohmann::ordered_json::array())) {
    fmt::print("  {:<22} {:8.3f} ms (best {:.3f})  {:6.0f} GFLOP/s\n", stage["stage"].get<std::string>(),
               stage["median_seconds"].get<double>() * 1e3, stage["min_seconds"].get<double>() * 1e3,
               stage["direct_gflops"].get<double>());
  }
  if (options.peak) fmt::print("  SGEMM micro-kernel: {:.0f} GFLOP/s\n", report["sgemm_gflops"].get<double>());
}

}  // namespace

void lfm::bench::add_engine_command(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("engine", "Times one engine's inference on random images, whole or stage by stage");
  command->add_option("--device", options->device, "one of " + device_names())->capture_default_str();
  command->add_option("--precision", options->precision, std::string("one of ") + kPrecisionNames)
      ->capture_default_str();
  command->add_option("--model", options->model, "a .lfmw file; random weights without it");
  command->add_option("--batch", options->batch)->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--threads", options->threads, "0: all cores")->capture_default_str();
  command->add_option("--height", options->height)->capture_default_str();
  command->add_option("--width", options->width)->capture_default_str();
  command->add_option("--runs", options->runs)->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--warm-up", options->warm_up)->capture_default_str();
  command->add_flag("--layers", options->layers, "also time each stage");
  command->add_flag("--peak", options->peak, "also measure the CPU micro-kernel's SGEMM rate");
  command->add_flag("--json", options->json);
  command->callback([options] { run(*options); });
}
