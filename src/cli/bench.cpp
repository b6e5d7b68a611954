// lfm-cuda bench: times a device's inference on synthetic images, or runs exactly the batches that a profiler shall see.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "src/cli/commands.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/engine/precision.h"
#include "src/model/architecture.h"
#include "src/model/initialise.h"
#include "src/report/output.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

struct BenchOptions {
  std::string device = "auto";
  std::string precision = "auto";
  std::filesystem::path model;
  int batch = 64, size = 256, iterations = 50, warm_up = 10, threads = 0;
  int profile = 0;  ///< batches a profiler sees; 0: time instead
  bool json = false;
};

constexpr const char* kBenchFooter =
    "Images are noise of one size, already decoded; a batch counts from pixels in the host's memory to logits there. Without\n"
    "--model the weights are those of a fresh network: they cost the same.\n"
    "Layers: the time that a pass takes which ends after the layer, less that of one which ends before it.\n"
    "\n"
    "With --profile N, N batches run between the CUDA profiler's start and stop and nothing is timed:\n"
    "  nsys profile --capture-range=cudaProfilerApi lfm-cuda bench --device cuda --profile 5\n"
    "tools/profile-nsys and tools/profile-ncu do this with the useful options.\n";

constexpr std::array<const char*, 6> kLayers = {"block 1", "block 2", "block 3", "block 4 and 1x1", "pooling", "head"};

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

/// A batch, and the engine that scores it.
class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options) {
    if (options.model.empty()) {
      model_.values = initial_values(model_.architecture, 1);
    } else {
      model_ = load_model(options.model);
    }
    EngineOptions engine;
    engine.threads = options.threads;
    engine.precision = parse_precision(options.precision);
    engine.note = [](const std::string& note) { tell(stderr, "lfm-cuda: {}\n", note); };
    engine_ = make_engine(parse_device(options.device), engine);
    engine_->load(model_.architecture, model_.values);
    const std::size_t image = std::size_t{3} * options.size * options.size;
    pixels_.resize(image * static_cast<std::size_t>(options.batch));
    std::mt19937 random(1);
    for (std::uint8_t& pixel : pixels_) pixel = static_cast<std::uint8_t>(random());
    logits_.resize(static_cast<std::size_t>(options.batch));
  }

  std::string description() const { return engine_->description(); }
  const Architecture& architecture() const { return model_.architecture; }

  void run_batch() { infer(*engine_, model_.architecture, {pixels_.data(), options_.batch, options_.size, options_.size}, logits_); }

  /// Images that pass through the layers together.
  int chunk() const { return std::min(options_.batch, engine_->inference_chunk(options_.size, options_.size)); }

  /// The first `layers` layers of one chunk; may return before the device has done them.
  void begin_pass(int layers) {
    if (layers > 0) engine_->infer_first_block({pixels_.data(), chunk(), options_.size, options_.size});
    if (layers > 1) engine_->infer_block(1);
    if (layers > 2) engine_->infer_block(2);
    if (layers > 3) engine_->infer_last_block();
    if (layers > 4) engine_->infer_pool();
  }

 private:
  const BenchOptions& options_;
  Model model_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::uint8_t> pixels_;
  std::vector<float> logits_;
};

/// Milliseconds of each layer for one chunk: what passes that end after it take, less those that end before it. Passes follow each
/// other without waiting, and a whole batch, whose time is known, waits for them. The first includes bringing the pixels to the device.
std::array<double, kLayers.size()> time_layers(Bench& bench, const BenchOptions& options, double batch) {
  constexpr int kPasses = 4;
  const auto time_pass = [&](int layers) {
    std::vector<double> times;
    for (int i = 0; i < options.iterations; ++i) {
      times.push_back(milliseconds([&] {
        for (int pass = 0; pass < kPasses; ++pass) bench.begin_pass(layers);
        bench.run_batch();
      }));
    }
    return (median(times) - batch) / kPasses;
  };
  std::array<double, kLayers.size()> layers{};
  double before = 0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const bool is_head = layer + 1 == layers.size();
    const double until = is_head ? batch * bench.chunk() / options.batch : time_pass(static_cast<int>(layer) + 1);
    layers[layer] = std::max(0.0, until - before);
    before = std::max(before, until);
  }
  return layers;
}

void print(const std::string& text) {
  Output output{std::filesystem::path()};
  output.write(text);
  output.commit();
}

void run_profile(Bench& bench, const BenchOptions& options) {
  for (int i = 0; i < options.warm_up; ++i) bench.run_batch();
  start_profiler();
  for (int i = 0; i < options.profile; ++i) bench.run_batch();
  stop_profiler();
  print(fmt::format("{}: {} batches of {} images of {}x{} between profiler start and stop, after {}\n", bench.description(),
                    options.profile, options.batch, options.size, options.size, options.warm_up));
}

void run_timed(Bench& bench, const BenchOptions& options) {
  for (int i = 0; i < options.warm_up; ++i) bench.run_batch();
  std::vector<double> times;
  for (int i = 0; i < options.iterations; ++i) times.push_back(milliseconds([&] { bench.run_batch(); }));
  const auto macs = multiply_adds(bench.architecture(), options.size, options.size);
  const double flops = 2.0 * static_cast<double>(std::accumulate(macs.begin(), macs.end(), std::int64_t{0}));
  const double batch = median(times), images = options.batch / batch * 1e3;
  const auto layers = time_layers(bench, options, batch);
  const double all_layers = std::accumulate(layers.begin(), layers.end(), 0.0);

  nlohmann::ordered_json report = {{"device", bench.description()},
                                   {"precision", options.precision},
                                   {"batch", options.batch},
                                   {"size", options.size},
                                   {"iterations", options.iterations},
                                   {"milliseconds_per_batch", batch},
                                   {"fastest_milliseconds", *std::min_element(times.begin(), times.end())},
                                   {"images_per_second", images},
                                   {"direct_tflops", images * flops / 1e12},
                                   {"layers", nlohmann::ordered_json::array()}};
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    report["layers"].push_back(
        {{"layer", kLayers[layer]}, {"milliseconds", layers[layer]}, {"share", all_layers > 0 ? layers[layer] / all_layers : 0}});
  }
  if (options.json) return print(report.dump(2) + "\n");
  std::string text = fmt::format("{}, precision {}: batches of {} images of {}x{}, {} after {}\n", bench.description(), options.precision,
                                 options.batch, options.size, options.size, options.iterations, options.warm_up);
  text += fmt::format("{:.1f} images/s, {:.3f} ms a batch (fastest {:.3f}), {:.3f} TFLOP/s counted as direct convolution\n", images, batch,
                      report["fastest_milliseconds"].get<double>(), report["direct_tflops"].get<double>());
  for (const auto& layer : report["layers"]) {
    text += fmt::format("  {:<17} {:10.3f} ms {:5.1f} %\n", layer["layer"].get<std::string>(), layer["milliseconds"].get<double>(),
                        100 * layer["share"].get<double>());
  }
  print(text);
}

void run_bench(const BenchOptions& options) {
  Bench bench(options);
  if (options.profile > 0) {
    run_profile(bench, options);
  } else {
    run_timed(bench, options);
  }
}

}  // namespace

void add_bench_command(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Times a device's inference, or runs batches for a profiler");
  command->add_option("-d,--device", options->device, std::string("One of ") + kDeviceNames)->capture_default_str();
  command->add_option("--precision", options->precision, std::string("One of ") + kPrecisionNames)->capture_default_str();
  command->add_option("-m,--model", options->model, "Weights (.lfmw); default: a fresh network's");
  command->add_option("-b,--batch", options->batch, "Images of a batch")->check(CLI::Range(1, 65536))->capture_default_str();
  command->add_option("--size", options->size, "Side of the images")->check(CLI::Range(kMinImageSide, 16384))->capture_default_str();
  command->add_option("--iterations", options->iterations, "Batches that are timed")->check(CLI::Range(1, 1000000))->capture_default_str();
  command->add_option("--warm-up", options->warm_up, "Batches before them")->check(CLI::Range(1, 1000000))->capture_default_str();
  command->add_option("-t,--threads", options->threads, "CPU threads; 0: all cores")->check(CLI::Range(0, 4096))->capture_default_str();
  command->add_option("--profile", options->profile, "Run this many batches for a profiler")->check(CLI::Range(1, 1000000));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(kBenchFooter);
  command->callback([options] { run_bench(*options); });
}

}  // namespace lfm
