// lfm-bench-training: one engine's training step, forward, backward and Adam, whole and stage by stage, and the memory it takes.
#include <fmt/core.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "src/engine/device.h"
#include "src/engine/network.h"

namespace {

using lfm::GradientMode;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string device = "cpu";
  int batch = 32, side = 224, threads = 0, steps = 5;
};

/// He's initialisation: activations of the size that training meets.
std::vector<float> random_parameters() {
  const lfm::ParameterTable table = lfm::parameter_table({});
  std::mt19937 generator(1);
  std::vector<float> values(table.total_floats);
  for (int id = 0; id < lfm::kParameters; ++id) {
    const int fan_in = table[id].fan_in;
    std::normal_distribution<float> noise(fan_in ? 0.0f : 1.0f, fan_in ? std::sqrt(2.0f / static_cast<float>(fan_in)) : 0.1f);
    for (float& value : lfm::parameter(std::span(values), table, id)) value = noise(generator);
  }
  return values;
}

double seconds(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
  Arguments arguments;
  CLI::App app("Time one engine's training step");
  app.add_option("--device", arguments.device, lfm::kDeviceNames)->capture_default_str();
  app.add_option("--batch", arguments.batch)->capture_default_str();
  app.add_option("--size", arguments.side, "Side of the images")->capture_default_str();
  app.add_option("--threads", arguments.threads, "0: all cores")->capture_default_str();
  app.add_option("--steps", arguments.steps, "Timed steps, after one that warms up")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const auto engine = lfm::make_engine(lfm::parse_device(arguments.device), arguments.threads);
  engine->load({}, random_parameters());
  const lfm::PlanRequest request{arguments.batch, arguments.side, arguments.side, lfm::PlanMode::training};
  engine->reserve(request);
  std::mt19937 generator(2);
  std::vector<std::uint8_t> pixels(std::size_t{3} * arguments.batch * arguments.side * arguments.side), labels;
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
  for (int i = 0; i < arguments.batch; ++i) labels.push_back(static_cast<std::uint8_t>(i % 2));

  const lfm::PixelBatch batch{pixels.data(), arguments.batch, arguments.side, arguments.side};
  constexpr auto overwrite = GradientMode::overwrite;
  std::uint64_t step = 0;
  const std::vector<std::pair<std::string, std::function<void()>>> stages = {
      {"forward block 1", [&] { engine->train_first_block(batch); }},
      {"forward block 2", [&] { engine->train_block(1); }},
      {"forward block 3", [&] { engine->train_block(2); }},
      {"forward block 4, 1x1", [&] { engine->train_last_block(); }},
      {"forward pool, head", [&] {
         engine->train_pool({}, {1, step, 0}, {});
         engine->train_head(labels, 1.0f / static_cast<float>(arguments.batch));
       }},
      {"backward head, pool", [&] {
         engine->backward_head(overwrite);
         engine->backward_pool();
       }},
      {"backward block 4, 1x1", [&] { engine->backward_last_block(overwrite); }},
      {"backward block 3", [&] { engine->backward_block(2, overwrite); }},
      {"backward block 2", [&] { engine->backward_block(1, overwrite); }},
      {"backward block 1", [&] { engine->backward_first_block(overwrite); }},
      {"Adam", [&] { engine->adam_step({}, step); }}};

  std::vector<std::vector<double>> times(stages.size() + 1);
  for (int i = 0; i <= arguments.steps; ++i) {
    ++step;
    double total = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      const double time = seconds(stages[s].second);
      total += time;
      if (i > 0) times[s].push_back(time);
    }
    if (i > 0) times.back().push_back(total);
  }

  fmt::print("{}, batch {} of {}x{}, medians of {} steps\n", engine->description(), arguments.batch, arguments.side, arguments.side,
             arguments.steps);
  for (std::size_t s = 0; s < stages.size(); ++s) fmt::print("  {:<22} {:8.2f} ms\n", stages[s].first, 1e3 * median(times[s]));
  const double whole = median(times.back()), best = std::ranges::min(times.back());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("  {:<22} {:8.2f} ms: {:.1f} images/s (best {:.1f})\n", "step", 1e3 * whole, arguments.batch / whole, arguments.batch / best);
  fmt::print("  arena {} MiB, peak of the process {} MiB\n", engine->arena_bytes(request) >> 20, usage.ru_maxrss >> 10);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "lfm-bench-training: {}\n", error.what());
  return 1;
}
