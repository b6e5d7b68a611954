// lfm-bench training: one engine's training step, forward, backward and Adam, whole and stage by stage, and the memory
// it takes.
#include <fmt/core.h>
#include <sys/resource.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/commands.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/model/initialise.h"

namespace {

using lfm::GradientMode;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string device = "cpu";
  int batch = 32, side = 224, threads = 0, steps = 5;
};

/// Of the clock on the wall, and of all cores together: on a machine that others use too, the second tells more.
struct Time {
  double wall = 0, processor = 0;
};

Time operator-(const Time& a, const Time& b) { return {a.wall - b.wall, a.processor - b.processor}; }

Time now() {
  timespec processor{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &processor);
  return {std::chrono::duration<double>(Clock::now().time_since_epoch()).count(),
          static_cast<double>(processor.tv_sec) + 1e-9 * static_cast<double>(processor.tv_nsec)};
}

Time median(const std::vector<Time>& times) {
  const auto middle = [&](double Time::*part) {
    std::vector<double> values;
    for (const Time& time : times) values.push_back(time.*part);
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  return {middle(&Time::wall), middle(&Time::processor)};
}

void run(const Arguments& arguments) {
  const auto engine =
      lfm::make_engine(lfm::parse_device(arguments.device), {arguments.threads, lfm::Precision::fp32, {}});
  engine->load({}, lfm::initial_values({}, 1));
  const lfm::PlanRequest request{arguments.batch, arguments.side, arguments.side, lfm::PlanMode::training};
  engine->reserve(request);
  std::mt19937 generator(2);
  std::vector<std::uint8_t> pixels(std::size_t{3} * arguments.batch * arguments.side * arguments.side), labels;
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(generator());
  for (int i = 0; i < arguments.batch; ++i) labels.push_back(static_cast<std::uint8_t>(i % 2));

  std::vector<std::string> names = lfm::training_stage_names();
  names.push_back("Adam");
  const lfm::TrainingBatch batch{{pixels.data(), arguments.batch, arguments.side, arguments.side}, labels};
  std::vector<std::vector<Time>> times(names.size() + 1);
  for (int i = 0; i <= arguments.steps; ++i) {
    const auto step = static_cast<std::uint64_t>(i) + 1;
    std::vector<Time> marks;
    lfm::forward_backward(*engine, batch, {}, {1, step, 0}, 1.0f / static_cast<float>(arguments.batch),
                          GradientMode::overwrite, {}, [&](int) { marks.push_back(now()); });
    engine->training().adam({}, step);
    marks.push_back(now());
    if (i == 0) continue;
    for (std::size_t s = 0; s < names.size(); ++s) times[s].push_back(marks[s + 1] - marks[s]);
    times.back().push_back(marks.back() - marks.front());
  }

  fmt::print("{}, batch {} of {}x{}, medians of {} steps: wall, processor\n", engine->description(), arguments.batch,
             arguments.side, arguments.side, arguments.steps);
  const auto print = [](const std::string& name, const Time& time) {
    fmt::print("  {:<31} {:8.2f} {:8.2f} ms\n", name, 1e3 * time.wall, 1e3 * time.processor);
  };
  for (std::size_t s = 0; s < names.size(); ++s) print(names[s], median(times[s]));
  const Time whole = median(times.back());
  print("step", whole);
  fmt::print("  {:.1f} images/s; {:.1f} per second of processor time\n", arguments.batch / whole.wall,
             arguments.batch / whole.processor);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("  arena {} MiB, peak of the process {} MiB\n", engine->plan(request).bytes >> 20, usage.ru_maxrss >> 10);
}

}  // namespace

void lfm::bench::add_training_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("training", "Times one engine's training step, whole and stage by stage");
  command->add_option("--device", arguments->device, lfm::device_names())->capture_default_str();
  command->add_option("--batch", arguments->batch)->capture_default_str();
  command->add_option("--size", arguments->side, "Side of the images")->capture_default_str();
  command->add_option("--threads", arguments->threads, "0: all cores")->capture_default_str();
  command->add_option("--steps", arguments->steps, "Timed steps, after one that warms up")->capture_default_str();
  command->callback([arguments] { run(*arguments); });
}
