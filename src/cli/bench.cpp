// lfm-cuda bench: times a device's inference or training on synthetic images, or runs exactly the batches that a
// profiler shall see.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "lfm/model.h"
#include "lfm/words.h"
#include "src/cli/bench_modes.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/engine/device.h"
#include "src/engine/precision.h"
#include "src/report/output.h"

namespace lfm {
namespace {

constexpr const char* kBenchFooter =
    "Images are noise of one size, already decoded. Without --model the weights are those of a fresh network: they "
    "cost the same.\n"
    "  (default)    a batch counts from pixels in the host's memory (page-locked for a GPU) to logits there. Where the "
    "device\n"
    "               works beside the host, the next batch's pixels travel while one is computed: \"overlapping\", from "
    "the end of\n"
    "               one batch to the end of the next; \"alone\", one at a time\n"
    "  --resident   a batch counts from pixels on the device to logits there, by the device's clock; batches of other "
    "pixels take\n"
    "               turns, so many that those of one have left the cache when its turn comes again. A CPU engine's "
    "pixels always\n"
    "               are where it computes: it gets two such batches and the host's clock\n"
    "  --training   a step counts from pixels in the host's memory to parameters that Adam has moved\n"
    "  --compare-kernels  as --resident, three times: lfm-cuda's own kernels, cuDNN's, cuBLAS's, side by side\n"
    "Layers are the stages of such a pass or step, timed one by one between marks on the device's clock. Times are "
    "medians, with\n"
    "the 10th and 90th percentiles. --json prints the schema that bench/README.md tells.\n"
    "\n"
    "With --profile N, N batches run between the CUDA profiler's start and stop and nothing is timed:\n"
    "  nsys profile --capture-range=cudaProfilerApi --cuda-graph-trace=node lfm-cuda bench --device cuda --profile 5\n"
    "tools/profile-nsys and tools/profile-ncu do this with the useful options.\n";

void print(const std::string& text) {
  Output output{std::filesystem::path()};
  output.write(text);
  output.commit();
}

std::string text_of(const BenchReport& report, const BenchOptions& options) {
  std::string text =
      fmt::format("{}, {}: batches of {} images of {}x{}, {} after {}, clock: {}\n", report.device, report.mode,
                  options.batch, options.size, options.size, options.iterations, report.warm_up, report.clock);
  if (report.mode == "resident") text += fmt::format("{} sets of pixels take turns\n", report.input_sets);
  for (const Measurement& row : report.rows) {
    const Spread& time = *row.milliseconds;
    const std::string spread = fmt::format("{:10.3f} ms ({:.3f} ... {:.3f})", time.median, time.p10, time.p90);
    if (row.part == "batch") {
      const std::string name = row.variant.empty() ? row.operation : row.operation + ", " + row.variant;
      text += fmt::format("{:<33} {}  {:.1f} images/s, {:.3f} TFLOP/s as direct convolution\n", name, spread,
                          row.images_per_second, row.tflops);
    } else {
      const std::string name = row.variant.empty() ? row.operation : row.operation + ", " + row.variant;
      text += fmt::format("  {:<31} {} {:5.1f} %\n", name, spread, 100 * row.share);
    }
  }
  for (const std::string& note : report.notes) text += note + "\n";
  return text;
}

/// A line an operation, a column a run: rows follow the batch of their run, which is named for its kernels.
std::string text_of_comparison(const BenchReport& report, const BenchOptions& options) {
  std::vector<std::string> columns, operations;
  const auto add = [](std::vector<std::string>& to, const std::string& name) {
    if (std::ranges::find(to, name) == to.end()) to.push_back(name);
  };
  std::map<std::pair<std::string, std::string>, std::string> cells;  // by operation and column
  for (const Measurement& row : report.rows) {
    add(operations, row.operation);
    if (row.part == "batch") add(columns, row.variant);
    if (!row.milliseconds) continue;
    const std::string time = fmt::format("{:.3f}", row.milliseconds->median);
    const bool is_ours_there = columns.size() > 1 && row.variant == columns[0];
    cells[{row.operation, columns.back()}] = is_ours_there ? "(" + time + ")" : time;
  }
  std::string text =
      fmt::format("{}, resident: batches of {} images of {}x{}, {} after {}, clock: {}\n", report.device, options.batch,
                  options.size, options.size, options.iterations, report.warm_up, report.clock);
  text += fmt::format("{:<33}", "milliseconds");
  for (const std::string& column : columns) text += fmt::format("{:>10}", column);
  for (const std::string& operation : operations) {
    text += fmt::format("\n{:<33}", (operation == "batch" ? "" : "  ") + operation);
    for (const std::string& column : columns) {
      const auto cell = cells.find({operation, column});
      text += fmt::format("{:>10}", cell == cells.end() ? "-" : cell->second);
    }
  }
  text += "\n";
  for (const Measurement& row : report.rows) {
    if (!row.error.empty()) text += fmt::format("{}: {}\n", row.variant, row.error);
  }
  text += "In parentheses: lfm-cuda's own kernels in a library's run.\n";
  for (const std::string& note : report.notes) text += note + "\n";
  return text;
}

void check_options(const BenchOptions& options) {
  const auto refuse = [](const char* why) { throw Error(ErrorCode::usage, why); };
  if (options.resident && options.training) refuse("--resident is of inference: leave out --training");
  if (options.training && options.kernels != "own") {
    refuse("--kernels is of inference: training has kernels of lfm-cuda alone; leave out --training");
  }
  if (!options.compare_kernels) return;
  if (options.training) refuse("--compare-kernels is of inference: leave out --training");
  if (options.kernels != "own") refuse("--compare-kernels times them all: leave out --kernels");
  if (options.profile > 0) refuse("--compare-kernels times, and --profile doesn't: choose one");
}

void run_bench(const BenchOptions& options) {
  check_options(options);
  if (options.compare_kernels) {
    const BenchReport report = compare_kernels(options);
    return print(options.json ? bench_json(report) : text_of_comparison(report, options));
  }
  BenchSubject subject(options);
  if (options.profile > 0) {
    run_for_profiler(subject, options, options.profile);
    return print(fmt::format("{}: {} batches of {} images of {}x{} between profiler start and stop, after {}\n",
                             subject.engine().description(), options.profile, options.batch, options.size, options.size,
                             options.warm_up));
  }
  const auto time = options.training ? time_training : options.resident ? time_resident : time_end_to_end;
  const BenchReport report = time(subject);
  print(options.json ? bench_json(report) : text_of(report, options));
}

}  // namespace

void add_bench_command(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Times a device's inference or training, or runs batches for a profiler");
  command->add_option("-d,--device", options->device, "One of " + device_names())->capture_default_str();
  command->add_option("--precision", options->precision, "One of " + list_of_words<Precision>())->capture_default_str();
  add_kernels_option(*command, options->kernels);
  command->add_flag("--compare-kernels", options->compare_kernels,
                    "Time each stage with lfm-cuda's kernels, cuDNN's and cuBLAS's");
  command->add_option("-m,--model", options->model, "Weights (.lfmw); default: a fresh network's");
  command->add_flag("--resident", options->resident, "Time the network alone, on pixels that are on the device");
  command->add_flag("--training", options->training, "Time training steps");
  command->add_option("-b,--batch", options->batch, "Images of a batch")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--size", options->size, "Side of the images")
      ->check(CLI::Range(kMinImageSide, 16384))
      ->capture_default_str();
  command->add_option("--iterations", options->iterations, "Batches that are timed")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--warm-up", options->warm_up, "Batches before them")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("-t,--threads", options->threads, "CPU threads; 0: all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_option("--profile", options->profile, "Run this many batches for a profiler")
      ->check(CLI::Range(1, 1000000));
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(kBenchFooter);
  command->callback([options] { run_bench(*options); });
}

}  // namespace lfm
