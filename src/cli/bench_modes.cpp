#include "src/cli/bench_modes.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <utility>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/engine/precision.h"
#include "src/engine/registry.h"
#include "src/model/combination.h"
#include "src/model/initialise.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of input sets
constexpr std::size_t kMostSets = 500;
constexpr std::size_t kMostMarks = 8192;  // set before they are read: by so much may the host run ahead of the device

/// Times `count` repetitions: each gives the engine its work and sets its marks, from `base` on. Their differences go
/// to samples[0 .. marks - 2]. The device is not waited for in between, so that the host's time does not enter.
std::vector<std::vector<double>> time_marked(Engine& engine, int count, std::size_t marks,
                                             const std::function<void(int repetition, std::size_t base)>& run) {
  std::vector<std::vector<double>> samples(marks - 1);
  const int together = static_cast<int>(std::clamp<std::size_t>(kMostMarks / marks, 1, 64));
  for (int first = 0; first < count; first += together) {
    const int n = std::min(together, count - first);
    for (int i = 0; i < n; ++i) run(first + i, static_cast<std::size_t>(i) * marks);
    for (int i = 0; i < n; ++i) {
      const std::size_t base = static_cast<std::size_t>(i) * marks;
      for (std::size_t m = 0; m + 1 < marks; ++m)
        samples[m].push_back(engine.milliseconds_between(base + m, base + m + 1));
    }
  }
  return samples;
}

double flops_of(const ObservedStage& stage) { return 2.0 * static_cast<double>(stage.multiply_adds); }

std::vector<ObservedStage> stages_of(const BenchSubject& subject) {
  return inference_stages(subject.architecture(), subject.size(), subject.size());
}

/// Of one image's inference, as direct convolutions.
double flops_of(const BenchSubject& subject) {
  double flops = 0;
  for (const ObservedStage& stage : stages_of(subject)) flops += flops_of(stage);
  return flops;
}

Measurement row_of(const BenchSubject& subject, const char* part, std::string operation, std::string variant,
                   std::vector<double> samples, double flops_of_an_image) {
  Measurement row{.part = part,
                  .operation = std::move(operation),
                  .variant = std::move(variant),
                  .precision = std::string(precision_name(subject.precision())),
                  .batch = subject.batch(),
                  .size = subject.size(),
                  .milliseconds = spread_of(std::move(samples))};
  const double seconds = row.milliseconds->median / 1e3;
  if (seconds > 0) {
    row.images_per_second = subject.batch() / seconds;
    row.tflops = row.images_per_second * flops_of_an_image / 1e12;
  }
  return row;
}

/// Rows of what a pass or step consists of, and what each takes of all.
void add_layers(BenchReport& report, const BenchSubject& subject, std::span<const ObservedStage> layers,
                const std::vector<std::vector<double>>& samples) {
  const std::size_t first = report.rows.size();
  double all = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string library = subject.training() ? "" : subject.computed_by(i);
    report.rows.push_back(row_of(subject, "layer", layers[i].name, library, samples[i], flops_of(layers[i])));
    report.rows.back().images_per_second = 0;  // of the whole alone
    all += report.rows.back().milliseconds->median;
  }
  for (std::size_t i = first; i < report.rows.size() && all > 0; ++i)
    report.rows[i].share = report.rows[i].milliseconds->median / all;
}

/// A batch that is on the device, in as many passes as the engine makes of it.
void pass_all(BenchSubject& subject, const PixelBatch& batch, int chunk, std::span<float> logits,
              const StageObserver& observe = {}) {
  for (const auto [first, n] : parts_of_batch(batch.n, chunk)) {
    const auto out =
        logits.empty() ? logits : logits.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
    infer_pass(subject.engine(), batch.part(first, n), out, observe);
  }
}

/// So many that the pixels of one are in no cache any more when its turn comes again.
std::size_t sets_for(const BenchSubject& subject) {
  const std::size_t bytes = PixelBatch{nullptr, subject.batch(), subject.size(), subject.size()}.bytes();
  const std::size_t wanted = subject.engine().cache_bytes() / bytes + 2;
  return std::clamp<std::size_t>(wanted, 2, std::max<std::size_t>(2, std::min(kMostSets, kMostBytes / bytes)));
}

/// The layers of passes over pixels on the device. A batch of several passes has each layer several times.
void add_inference_layers(BenchReport& report, BenchSubject& subject, std::span<const PixelBatch> sets, int chunk) {
  const std::vector<ObservedStage> stages = stages_of(subject);
  const std::size_t marks = stages.size() + 1;
  const std::size_t passes = parts_of_batch(subject.batch(), chunk).size();
  const auto all = time_marked(subject.engine(), subject.iterations(), passes * marks, [&](int i, std::size_t base) {
    std::size_t at = base;
    pass_all(subject, sets[static_cast<std::size_t>(i) % sets.size()], chunk, {},
             [&](int) { subject.engine().mark(at++); });
  });
  std::vector<std::vector<double>> layers(stages.size(), std::vector<double>(all[0].size()));
  for (std::size_t pass = 0; pass < passes; ++pass) {
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      for (std::size_t i = 0; i < layers[layer].size(); ++i) layers[layer][i] += all[pass * marks + layer][i];
    }
  }
  add_layers(report, subject, stages, layers);
}

int reserve_passes(BenchSubject& subject) {
  // Scoring a batch finds out how many images there is room for.
  std::vector<float> logits(static_cast<std::size_t>(subject.batch()));
  infer(subject.engine(), subject.architecture(), subject.batches(1, PixelMemory::pinned)[0], logits);
  return std::min(subject.batch(), subject.engine().inference().chunk(subject.size(), subject.size()));
}

BenchReport report_of(const BenchSubject& subject, const char* mode, const char* clock, std::size_t sets) {
  return {.mode = mode,
          .device = subject.engine().description(),
          .clock = clock,
          .data_sheet = {},
          .warm_up = subject.warm_up(),
          .input_sets = static_cast<int>(sets),
          .rows = {},
          .notes = {}};
}

/// Batches of host memory that follow each other through the engine.
class HostBatches {
 public:
  explicit HostBatches(BenchSubject& subject)
      : sets_(subject.batches(static_cast<std::size_t>(subject.engine().inference().batches_under_way()) + 1,
                              PixelMemory::pinned)),
        logits_(sets_.size(), std::vector<float>(static_cast<std::size_t>(subject.batch()))),
        queue_(subject.engine(), subject.architecture()) {}

  /// Finishes `count` batches, never more than `under_way` at a time, and tells each one's end.
  void run(int count, int under_way, const std::function<void()>& finished) {
    for (int i = 0, ended = 0; ended < count; ++ended) {
      for (; i < count && queue_.under_way() < under_way; ++i) {
        const std::size_t set = static_cast<std::size_t>(i) % sets_.size();
        queue_.begin(sets_[set], logits_[set]);
      }
      queue_.finish();
      finished();
    }
  }
  std::size_t sets() const { return sets_.size(); }

 private:
  std::vector<PixelBatch> sets_;
  std::vector<std::vector<float>> logits_;
  InferenceQueue queue_;
};

class TrainingSteps {
 public:
  explicit TrainingSteps(BenchSubject& subject)
      : engine_(subject.engine()),
        sets_(subject.batches(2, PixelMemory::pinned)),
        labels_(static_cast<std::size_t>(subject.batch())) {
    options_.rbld = options_.rks = subject.architecture().pooling == Pooling::topk;  // they select among its values
    for (std::size_t i = 0; i < labels_.size(); ++i) labels_[i] = static_cast<std::uint8_t>(i % 2);
  }
  void run(const StageObserver& observe = {}) {
    const PixelBatch& batch = sets_[step_ % sets_.size()];
    const float loss_scale = 1.0f / static_cast<float>(batch.n);
    forward_backward(engine_, {batch, labels_}, options_, {.seed = 1, .step = step_, .first_image = 0}, loss_scale,
                     GradientMode::overwrite, {}, observe);
    engine_.training().adam({}, ++step_);
  }
  std::size_t sets() const { return sets_.size(); }

 private:
  Engine& engine_;
  std::vector<PixelBatch> sets_;
  std::vector<std::uint8_t> labels_;
  TrainingOptions options_;
  std::uint64_t step_ = 0;
};

}  // namespace

BenchSubject::BenchSubject(const BenchOptions& options) : options_(options) {
  if (options.model.empty()) {
    model_.values = initial_values(model_.architecture, 1);
  } else {
    model_ = one_network(load_model(options.model), options.model.string());
  }
  EngineOptions engine;
  engine.threads = options.threads;
  const Precision precision = parse_precision(options.precision);
  if (!options.training) {
    engine.precision = precision;
  } else if (precision == Precision::fp16) {
    throw Error(ErrorCode::usage, "training is in fp32, tf32 or bf16: choose one with --precision");
  } else if (precision != Precision::automatic) {
    engine.training = precision;
  }
  engine.kernels = parse_providers(options.kernels);
  engine.note = [](const std::string& note) { tell(stderr, "lfm-cuda: {}\n", note); };
  engine_ = make_engine(parse_device(options.device), engine);
  engine_->load(model_.architecture, model_.values);
}

std::string BenchSubject::computed_by(std::size_t observed) const {
  std::string names;
  std::size_t at = 0;
  for (const Stage& stage : stage_table(architecture())) {
    const std::string name = at == observed ? engine_->computed_by(stage) : "";
    if (!name.empty() && names != name) names += (names.empty() ? "" : ", ") + name;
    if (!stage.joined) ++at;
  }
  return names;
}

std::vector<PixelBatch> BenchSubject::batches(std::size_t count, PixelMemory memory) {
  std::mt19937_64 random(buffers_.size() + 1);
  std::vector<PixelBatch> all;
  for (std::size_t i = 0; i < count; ++i) {
    PixelBatch batch{nullptr, options_.batch, options_.size, options_.size, PixelMemory::pinned};
    PixelBuffer pixels = engine_->host_memory(batch.bytes());
    for (std::size_t at = 0; at < batch.bytes(); at += sizeof(std::uint64_t)) {
      const std::uint64_t noise = random();
      std::memcpy(pixels.get() + at, &noise, std::min(sizeof noise, batch.bytes() - at));
    }
    batch.pixels = pixels.get();
    if (memory == PixelMemory::device) {
      pixels = engine_->place(batch);
      batch.pixels = pixels.get();
      batch.memory = PixelMemory::device;
    }
    buffers_.push_back(std::move(pixels));
    all.push_back(batch);
  }
  return all;
}

BenchReport time_end_to_end(BenchSubject& subject) {
  const int depth = subject.engine().inference().batches_under_way();
  HostBatches batches(subject);
  // Milliseconds from the end of one batch to the end of the next.
  const auto time = [&](int under_way) {
    std::vector<double> samples;
    batches.run(subject.warm_up(), under_way, [] {});
    auto last = std::chrono::steady_clock::now();
    batches.run(subject.iterations(), under_way, [&] {
      const auto now = std::chrono::steady_clock::now();
      samples.push_back(std::chrono::duration<double, std::milli>(now - last).count());
      last = now;
    });
    return samples;
  };
  const double flops = flops_of(subject);
  BenchReport report = report_of(subject, "end-to-end", "host", batches.sets());
  report.rows.push_back(row_of(subject, "batch", "batch", depth > 1 ? "overlapping" : "", time(depth), flops));
  if (depth > 1) report.rows.push_back(row_of(subject, "batch", "batch", "alone", time(1), flops));
  const int chunk = reserve_passes(subject);
  const std::vector<PixelBatch> placed = subject.batches(2, PixelMemory::device);
  add_inference_layers(report, subject, placed, chunk);
  return report;
}

BenchReport time_resident(BenchSubject& subject) {
  Engine& engine = subject.engine();
  const int chunk = reserve_passes(subject);
  const std::vector<PixelBatch> sets = subject.batches(sets_for(subject), PixelMemory::device);
  // An engine may prepare a pass over the same memory when it comes for the second time.
  const int warm_up = std::max(subject.warm_up(), 2 * static_cast<int>(sets.size()));
  for (int i = 0; i < warm_up; ++i) pass_all(subject, sets[static_cast<std::size_t>(i) % sets.size()], chunk, {});
  const auto samples = time_marked(engine, subject.iterations(), 2, [&](int i, std::size_t base) {
    engine.mark(base);
    pass_all(subject, sets[static_cast<std::size_t>(i) % sets.size()], chunk, {});
    engine.mark(base + 1);
  });
  BenchReport report = report_of(subject, "resident", engine.clock(), sets.size());
  report.warm_up = warm_up;
  report.rows.push_back(row_of(subject, "batch", "batch", "", samples[0], flops_of(subject)));
  add_inference_layers(report, subject, sets, chunk);
  const std::size_t pixels = sets.size() * sets[0].bytes();
  if (engine.cache_bytes() > pixels) {
    report.notes.push_back(
        fmt::format("the pixels of all sets, {} MB, fit the cache of {} MB: they may be read from there",
                    pixels / 1000000, engine.cache_bytes() / 1000000));
  }
  return report;
}

BenchReport compare_kernels(const BenchOptions& options) {
  const DeviceKind kind = parse_device(options.device).kind;
  if (kind != DeviceKind::automatic && !engine_row(kind).takes_libraries) {
    throw Error(ErrorCode::usage,
                fmt::format("--compare-kernels: {} computes every stage itself; cuDNN and cuBLAS are a "
                            "GPU's: choose --device cuda",
                            engine_row(kind).who));
  }
  BenchReport all;
  for (const ProviderRow& provider : provider_rows()) {
    BenchOptions these = options;
    if (kind == DeviceKind::automatic) these.device = "cuda";
    these.kernels = provider.word;
    const std::string name(provider.name);
    try {
      BenchSubject subject(these);
      BenchReport report = time_resident(subject);
      for (Measurement& row : report.rows) {
        if (row.part == "batch") row.variant = name;
        if (row.variant.empty()) row.variant = std::string(provider_name(Provider::own));
      }
      if (all.rows.empty()) {
        all = std::move(report);
        all.mode = "compare-kernels";
        continue;
      }
      for (Measurement& row : report.rows) all.rows.push_back(std::move(row));
      all.notes.push_back(fmt::format("with {}: {}", name, report.device));
    } catch (const Error& error) {
      if (provider.provider == Provider::own || error.code() != ErrorCode::device) throw;
      const Measurement& whole = all.rows[0];
      Measurement row{.part = whole.part,
                      .operation = whole.operation,
                      .variant = name,
                      .precision = whole.precision,
                      .batch = whole.batch,
                      .size = whole.size};
      row.error = error.what();
      all.rows.push_back(std::move(row));
    }
  }
  return all;
}

BenchReport time_training(BenchSubject& subject) {
  Engine& engine = subject.engine();
  TrainingSteps steps(subject);
  for (int i = 0; i < subject.warm_up(); ++i) steps.run();
  std::vector<ObservedStage> stages;
  for (const std::string& name : training_stage_names(subject.architecture())) stages.push_back({name});
  stages.push_back({"Adam"});
  const std::size_t marks = stages.size() + 1;
  const auto samples = time_marked(engine, subject.iterations(), marks, [&](int, std::size_t base) {
    steps.run([&](int done) { engine.mark(base + static_cast<std::size_t>(done)); });
    engine.mark(base + marks - 1);
  });
  std::vector<double> whole(samples[0].size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const std::vector<double>& stage : samples) whole[i] += stage[i];
  }
  BenchReport report = report_of(subject, "training", engine.clock(), steps.sets());
  report.rows.push_back(row_of(subject, "batch", "training step", "", whole, 3 * flops_of(subject)));
  add_layers(report, subject, stages, samples);
  report.notes.emplace_back("TFLOP/s of a step count the gradients of a convolution as two more of it");
  return report;
}

void run_for_profiler(BenchSubject& subject, const BenchOptions& options, int count) {
  const auto between = [&](const std::function<void(int)>& run) {
    run(options.warm_up);
    start_profiler();
    run(count);
    stop_profiler();
  };
  Engine& engine = subject.engine();
  if (options.training) {
    TrainingSteps steps(subject);
    between([&](int n) {
      for (int i = 0; i < n; ++i) steps.run();
    });
  } else if (options.resident) {
    const int chunk = reserve_passes(subject);
    const std::vector<PixelBatch> sets = subject.batches(1, PixelMemory::device);
    between([&](int n) {
      for (int i = 0; i < n; ++i) pass_all(subject, sets[0], chunk, {});
      engine.mark(0);
      engine.milliseconds_between(0, 0);  // waits
    });
  } else {
    HostBatches batches(subject);
    between([&](int n) { batches.run(n, engine.inference().batches_under_way(), [] {}); });
  }
}

}  // namespace lfm
