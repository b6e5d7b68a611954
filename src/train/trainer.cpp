#include "src/train/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "lfm/error.h"
#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/model/initialise.h"
#include "src/train/curves_page.h"
#include "src/train/run_folder.h"
#include "src/train/run_log.h"
#include "src/train/validate.h"

namespace lfm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kPageSeconds = 15;  // between two rewrites of the curves page within an epoch

LoaderOptions training_loader_options(const TrainOptions& o) {
  LoaderOptions l;
  l.batch = o.batch;
  l.seed = o.seed;
  l.view = {o.view, o.resize, o.crop};
  l.augmentation = o.augmentation;
  l.balance = o.balance;
  l.threads = o.threads;
  l.cache_bytes = static_cast<std::size_t>(o.cache_mb) << 20;
  return l;
}

LoaderOptions validation_loader_options(const TrainOptions& o) {
  LoaderOptions l = training_loader_options(o);
  l.training = false;
  l.drop_last = false;
  l.view.crop = o.val_crop;
  return l;
}

Loader make_loader(const std::vector<std::filesystem::path>& roots, const TrainOptions& o, const LoaderOptions& loader_options) {
  Dataset dataset = scan_dataset(roots, o.classes);
  require_both_labels(dataset);
  return Loader(std::move(dataset), loader_options);
}

Model initial_model(const TrainOptions& o) {
  Model model;
  if (o.init.empty()) {
    model.values = initial_values(o.architecture, o.seed);
  } else {
    model = load_model(o.init);
    if (model.architecture != o.architecture) {
      const bool topk = model.architecture.pooling == Pooling::topk;
      throw Error(ErrorCode::usage, fmt::format("{}: the model has another pooling than this run; use --pool {} --k {}", o.init.string(),
                                                topk ? "topk" : "avg", model.architecture.k));
    }
    model.calibration = {};  // fitted to the weights it came with
  }
  model.architecture = o.architecture;
  model.view = o.view;
  model.name = o.name;
  return model;
}

double best_value(BestBy by, const Validation& v) {
  switch (by) {
    case BestBy::ap: return v.metrics.ap;
    case BestBy::accuracy: return v.metrics.accuracy;
    case BestBy::loss: break;
  }
  return -v.loss;
}

// One run between two interruptions.
class Run {
 public:
  Run(std::unique_ptr<RunFolder> folder, SavedRun saved, bool resumed, const TrainHooks& hooks)
      : folder_(std::move(folder)),
        o_(std::move(saved.options)),
        hooks_(hooks),
        state_(std::move(saved.state)),
        model_(std::move(saved.model)),
        loader_(make_loader(o_.data, o_, training_loader_options(o_))),
        log_(folder_->log(), state_.step, state_.epoch) {
    if (!o_.val.empty()) validation_loader_.emplace(scan_validation(), validation_loader_options(o_));
    const Device device = parse_device(o_.device);
    const auto note = [this](const std::string& text) { say(text); };
    engine_ = make_engine(device, {o_.threads, Precision::fp32, note});
    engine_->load(model_.architecture, model_.values);
    if (resumed) engine_->write_moments(saved.m, saved.v);
    if (validation_loader_) evaluator_ = make_engine(device, {o_.threads, Precision::fp32, {}});
    check_data(resumed);
    report_unreadable(loader_);
    if (validation_loader_) report_unreadable(*validation_loader_);
    say(fmt::format("{}: {} reals and {} fakes, {} steps an epoch, {}", resumed ? "resuming" : "training", loader_.dataset().reals,
                    loader_.dataset().fakes, loader_.steps_per_epoch(), engine_->description()));
    if (!resumed) save();
  }

  TrainOutcome run() {
    const Clock::time_point start = Clock::now();
    const double seconds_before = state_.seconds;
    loader_.start(state_.epoch, state_.epoch_step, static_cast<std::uint64_t>(o_.epochs));
    TrainEnd end = TrainEnd::finished;
    Batch batch;
    while (!reached_end() && !out_of_patience()) {
      if (!loader_.next(batch)) throw Error(ErrorCode::input, "the data ended before the epoch did");
      train_on(batch);
      state_.seconds = seconds_before + std::chrono::duration<double>(Clock::now() - start).count();
      const bool epoch_done = state_.epoch_step == loader_.steps_per_epoch();
      if (epoch_done) finish_epoch();
      const bool interrupted = hooks_.interrupted && hooks_.interrupted();
      if (epoch_done || interrupted || reached_end() || state_.step % o_.checkpoint_every == 0) save();
      if (interrupted && !reached_end()) {
        end = TrainEnd::interrupted;
        break;
      }
      if (Clock::now() > next_page_) write_page("running", true);
    }
    if (end == TrainEnd::finished && !reached_end()) end = TrainEnd::stopped_early;
    if (end == TrainEnd::finished && state_.epoch_step > 0) finish_between_epochs();
    write_page(end_text(end), false);
    return {end, state_};
  }

 private:
  Dataset scan_validation() const {
    Dataset dataset = scan_dataset(o_.val, o_.classes);
    require_both_labels(dataset);
    return dataset;
  }

  void say(const std::string& line) const {
    if (hooks_.say) hooks_.say(line);
  }

  void report_unreadable(Loader& loader) {
    loader.on_unreadable([this](const Sample& sample, const std::string& reason) {
      say(fmt::format("skipped {}: {}", sample.path.string(), reason));
    });
  }

  void check_data(bool resumed) {
    const std::uint64_t fingerprint = loader_.dataset().fingerprint;
    if (resumed && fingerprint != state_.data_fingerprint) {
      throw Error(ErrorCode::usage, fmt::format("{}: the training data has changed since the run began, so it can't go on as it would "
                                                "have; start a new run with --init {}",
                                                folder_->path().string(), folder_->last().string()));
    }
    state_.data_fingerprint = fingerprint;
  }

  std::uint64_t total_steps() const {
    const std::uint64_t all = loader_.steps_per_epoch() * static_cast<std::uint64_t>(o_.epochs);
    return o_.max_steps == 0 ? all : std::min(all, o_.max_steps);
  }
  bool reached_end() const { return state_.step >= total_steps(); }
  bool out_of_patience() const {
    return o_.patience > 0 && state_.epochs_without_gain >= static_cast<std::uint64_t>(o_.patience);
  }

  struct BatchSums {
    double loss_a = 0, loss_b = 0;
    double right = 0;  // images called rightly
  };

  // Leaves the gradients of the batch's mean loss in the engine. The batch passes in o_.accumulate parts, whose gradients add up.
  BatchSums accumulate_gradients(const Batch& batch) {
    const float loss_scale = 1.0f / static_cast<float>(batch.global_n);
    const int parts = std::min(o_.accumulate, batch.n);
    const std::size_t image_bytes = std::size_t{3} * batch.height * batch.width;
    BatchSums sums;
    for (int part = 0; part < parts; ++part) {
      const int first = batch.n * part / parts, end = batch.n * (part + 1) / parts;
      const TrainingBatch images{{batch.pixels.data() + first * image_bytes, end - first, batch.height, batch.width},
                                 std::span(batch.labels).subspan(first, end - first)};
      const DrawKey key{o_.seed, state_.step, batch.first_image + first};
      const TrainingResult result = forward_backward(*engine_, images, o_.regularisation, key, loss_scale,
                                                     part == 0 ? GradientMode::overwrite : GradientMode::accumulate);
      sums.loss_a += result.loss_a;
      sums.loss_b += result.loss_b;
      for (std::size_t i = 0; i < result.logit_a.size(); ++i) sums.right += (result.logit_a[i] > 0) == (images.labels[i] == 1);
    }
    return sums;
  }

  // One optimizer step.
  void train_on(const Batch& batch) {
    const Clock::time_point start = Clock::now();
    const BatchSums sums = accumulate_gradients(batch);
    const double n = batch.n;
    const double loss = (sums.loss_a + o_.regularisation.alpha * sums.loss_b) / n;
    demand_sane("loss", loss, o_.loss_limit);

    AdamOptions adam = o_.adam;
    adam.learning_rate = learning_rate(o_, state_.epoch);
    const double norm = engine_->adam_step(adam, state_.step + 1);
    demand_sane("gradient's norm", norm, std::numeric_limits<double>::max());

    ++state_.step;
    ++state_.epoch_step;
    state_.epoch_loss += loss * n;
    state_.epoch_right += sums.right;
    state_.epoch_images += n;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    log_.append(StepRecord{state_.step, state_.epoch, loss, sums.loss_a / n, sums.loss_b / n, sums.right / n, adam.learning_rate, norm,
                           n / seconds});
    show_progress(loss, n);
  }

  void demand_sane(const char* what, double value, double limit) const {
    if (std::isfinite(value) && value <= limit) return;
    throw Error(ErrorCode::input,
                fmt::format("training diverged in step {} (epoch {}): the {} is {:.4g}; the last good checkpoint is {} (step {}); try a "
                            "lower --lr, from there with --init {}",
                            state_.step + 1, state_.epoch + 1, what, value, folder_->last().string(), saved_step_,
                            folder_->last().string()));
  }

  void show_progress(double loss, double images) {
    const Clock::time_point now = Clock::now();
    const double seconds = std::max(std::chrono::duration<double>(now - last_step_).count(), 1e-9);
    last_step_ = now;
    constexpr double kept = 0.95;  // of the moving averages
    average_loss_ = steps_here_ == 0 ? loss : kept * average_loss_ + (1 - kept) * loss;
    average_step_seconds_ = steps_here_ == 0 ? seconds : kept * average_step_seconds_ + (1 - kept) * seconds;
    ++steps_here_;
    if (!hooks_.progress) return;
    const std::uint64_t left = total_steps() - state_.step;
    hooks_.progress({state_.epoch + 1, static_cast<std::uint64_t>(o_.epochs), state_.step, total_steps(), average_loss_,
                     images / average_step_seconds_, static_cast<double>(left) * average_step_seconds_});
  }

  void finish_epoch() {
    EpochRecord record;
    record.loss = state_.epoch_loss / state_.epoch_images;
    record.accuracy = state_.epoch_right / state_.epoch_images;
    record.step = state_.step;
    record.epoch = ++state_.epoch;
    record.seconds = state_.seconds;
    state_.epoch_step = 0;
    state_.epoch_loss = state_.epoch_right = state_.epoch_images = 0;
    std::string line = fmt::format("epoch {}/{}: loss {:.4f}, accuracy {:.4f}", record.epoch, o_.epochs, record.loss, record.accuracy);
    if (validation_loader_) {
      record.validation = validate_now();
      record.best = keep_if_best(*record.validation);
      state_.epochs_without_gain = record.best ? 0 : state_.epochs_without_gain + 1;
      line += "; " + describe(*record.validation, record.best);
    }
    log_.append(record);
    say(line);
    write_page("running", true);
    last_step_ = Clock::now();
  }

  // --max-steps ended the run inside an epoch: its model is judged as well.
  void finish_between_epochs() {
    if (!validation_loader_) return;
    const Validation validation = validate_now();
    const bool best = keep_if_best(validation);
    say(fmt::format("step {}: {}", state_.step, describe(validation, best)));
    save();
  }

  static std::string describe(const Validation& v, bool best) {
    return fmt::format("validation loss {:.4f}, AP {:.4f}, accuracy {:.4f}, reals {:.4f}, fakes {:.4f}{}", v.loss, v.metrics.ap,
                       v.metrics.accuracy, v.metrics.real_accuracy, v.metrics.fake_accuracy, best ? " (best)" : "");
  }

  Validation validate_now() {
    read_model();
    evaluator_->load(model_.architecture, model_.values);
    return validate(*evaluator_, model_.architecture, *validation_loader_);
  }

  bool keep_if_best(const Validation& validation) {
    const double value = best_value(o_.best_by, validation);
    const bool better = !state_.best || value > state_.best->value || (value == state_.best->value && validation.loss < state_.best->loss);
    if (!better) return false;
    state_.best = BestEpoch{state_.epoch, value, validation.loss};
    model_.provenance = provenance(&validation).dump();
    save_model(model_, folder_->best());
    return true;
  }

  nlohmann::json provenance(const Validation* validation) const {
    nlohmann::json object = {{"made_by", "lfm-cuda train"},
                             {"step", state_.step},
                             {"options", to_json(o_)},
                             {"reals", loader_.dataset().reals},
                             {"fakes", loader_.dataset().fakes}};
    if (validation) {
      object["validation"] = {{"loss", validation->loss},
                              {"ap", validation->metrics.ap},
                              {"accuracy", validation->metrics.accuracy},
                              {"real_accuracy", validation->metrics.real_accuracy},
                              {"fake_accuracy", validation->metrics.fake_accuracy}};
    }
    return object;
  }

  void read_model() {
    model_.values.resize(parameter_table(model_.architecture).total_floats);
    engine_->read_parameters(model_.values);
  }

  void save() {
    read_model();
    model_.provenance = provenance(nullptr).dump();
    save_run(folder_->last(), o_, state_, model_, *engine_);
    saved_step_ = state_.step;
  }

  std::string end_text(TrainEnd end) const {
    switch (end) {
      case TrainEnd::finished: return "finished";
      case TrainEnd::stopped_early: return fmt::format("stopped after {} epochs without a better model", o_.patience);
      case TrainEnd::interrupted: break;
    }
    return "interrupted";
  }

  void write_page(const std::string& status, bool running) {
    std::string text = fmt::format("{}: epoch {} of {}, step {} of {}", status, std::min<std::uint64_t>(state_.epoch + 1, o_.epochs),
                                   o_.epochs, state_.step, total_steps());
    if (state_.best) text += fmt::format("; best: epoch {}", state_.best->epoch);
    write_curves(folder_->curves(), {o_.name, text, running, loader_.steps_per_epoch()}, o_, log_);
    next_page_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kPageSeconds));
  }

  std::unique_ptr<RunFolder> folder_;
  TrainOptions o_;
  const TrainHooks& hooks_;
  RunState state_;
  Model model_;
  Loader loader_;
  std::optional<Loader> validation_loader_;
  RunLog log_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Engine> evaluator_;  // its weights are those of the last validation

  std::uint64_t saved_step_ = 0;
  Clock::time_point next_page_ = Clock::now();
  Clock::time_point last_step_ = Clock::now();
  double average_loss_ = 0, average_step_seconds_ = 0;
  std::uint64_t steps_here_ = 0;
};

// The run's options with those that the user gave anew.
TrainOptions changed_options(const TrainOptions& saved, const nlohmann::json& given, const std::filesystem::path& folder) {
  nlohmann::json options = to_json(saved);
  visit_options(saved, [&](const OptionText& text, const auto&) {
    const auto found = given.find(text.name);
    if (found == given.end() || *found == options[text.name]) return;
    if (!text.may_change) {
      throw Error(ErrorCode::usage, fmt::format("--{} {} contradicts the run in {}, which has {}; leave it out, or start a new run with "
                                                "--init {}",
                                                text.name, found->dump(), folder.string(), options[text.name].dump(),
                                                (folder / "last.lfmw").string()));
    }
    options[text.name] = *found;
  });
  return train_options_from_json(options);
}

}  // namespace

TrainOutcome start_training(TrainOptions options, const TrainHooks& hooks) {
  complete_options(options);
  Model model = initial_model(options);
  auto folder = std::make_unique<RunFolder>(options.out);
  if (std::filesystem::exists(folder->last())) {
    throw Error(ErrorCode::usage, fmt::format("{}: the folder already holds a run; go on with it by --resume, or choose another --out",
                                              options.out.string()));
  }
  return Run(std::move(folder), {std::move(options), {}, std::move(model), {}, {}}, false, hooks).run();
}

TrainOutcome resume_training(const std::filesystem::path& path, const nlohmann::json& given, const TrainHooks& hooks) {
  if (!std::filesystem::exists(path / "last.lfmw")) {
    throw Error(ErrorCode::usage, fmt::format("{}: no run to resume: it holds no last.lfmw", path.string()));
  }
  auto folder = std::make_unique<RunFolder>(path);
  SavedRun saved = load_run(folder->last());
  saved.options = changed_options(saved.options, given, path);
  saved.options.out = path;
  complete_options(saved.options);
  return Run(std::move(folder), std::move(saved), true, hooks).run();
}

}  // namespace lfm
