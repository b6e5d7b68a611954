#include "src/train/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "lfm/error.h"
#include "src/data/hygiene.h"
#include "src/engine/network.h"
#include "src/image/file.h"
#include "src/model/label.h"
#include "src/train/curves_page.h"
#include "src/train/pixel_memory.h"
#include "src/train/provenance.h"
#include "src/train/run_folder.h"
#include "src/train/run_log.h"
#include "src/train/run_setup.h"
#include "src/train/teacher.h"
#include "src/train/validate.h"

namespace lfm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kPageSeconds = 15;  // between two rewrites of the curves page within an epoch

double best_value(BestBy by, const Validation& v) {
  switch (by) {
    case BestBy::ap: return v.metrics.ap;
    case BestBy::accuracy: return v.metrics.accuracy;
    case BestBy::loss: break;
  }
  return -v.loss;
}

// One process's part in a run between two interruptions.
class Run {
 public:
  // teacher: null without one.
  Run(SavedRun saved, const Model* teacher, bool resumed, const TrainHooks& hooks, const ProcessGroup& group)
      : group_(group),
        o_(std::move(saved.options)),
        files_{o_.out},
        hooks_(hooks),
        state_(std::move(saved.state)),
        model_(std::move(saved.model)),
        loader_(training_data(o_), training_loader_options(o_, group, &pixel_memory_)),
        saved_step_(state_.step) {
    check_data(resumed);
    const Device device = device_of(o_, group_);
    engine_ = make_engine(device, {thread_count(o_, group_), Precision::fp32,
                                   [this](const std::string& text) { say(text); }, o_.precision});
    pixel_memory_.use(*engine_);
    o_.precision = engine_->precision(PlanMode::training);  // checkpoints and models tell what was done
    engine_->set_communicator(group_.communicator);
    engine_->require(model_.architecture, PlanMode::training);
    engine_->load(model_.architecture, model_.values);
    if (resumed) engine_->training().write_moments(saved.m, saved.v);
    if (group_.is_root()) report_unreadable(loader_);
    if (teacher) {
      teacher_.emplace(*teacher, make_engine(device, {thread_count(o_, group_), Precision::fp32, {}}), o_);
      distillation_scale_ = resumed ? std::move(saved.distillation_scale) : teacher_->measure_scale(loader_, group_);
      teacher_->set_scale(distillation_scale_);
    }
    on_root(group_, [&] {
      log_.emplace(files_.log(), state_.step, state_.epoch);
      if (!o_.val.empty()) {
        validation_loader_.emplace(validation_data(o_), validation_loader_options(o_, group_));
        evaluator_ = make_engine(device, {thread_count(o_, group_), Precision::fp32, {}});
        report_unreadable(*validation_loader_);
      }
      warn_of_data();
      say(fmt::format("{}: {}, {} steps an epoch, {}{}", resumed ? "resuming" : "training",
                      count_text(loader_.dataset()), loader_.steps_per_epoch(), engine_->description(), share_text()));
      if (!resumed) write_checkpoint();
    });
  }

  TrainOutcome run() {
    const Clock::time_point start = Clock::now();
    const double seconds_before = state_.seconds;
    loader_.start(state_.epoch, state_.epoch_step, static_cast<std::uint64_t>(o_.epochs));
    TrainEnd end = TrainEnd::finished;
    Batch batch(&pixel_memory_);
    while (!reached_end() && !out_of_patience()) {
      next_batch(batch);
      train_on(batch);
      state_.seconds = seconds_before + std::chrono::duration<double>(Clock::now() - start).count();
      const bool epoch_done = state_.epoch_step == loader_.steps_per_epoch();
      if (epoch_done) finish_epoch();
      const bool interrupted = any(group_, hooks_.interrupted && hooks_.interrupted());
      if (epoch_done || interrupted || reached_end() || state_.step % o_.checkpoint_every == 0) save();
      if (interrupted && !reached_end()) {
        end = TrainEnd::interrupted;
        break;
      }
      if (group_.is_root() && Clock::now() > next_page_) write_page("running", true);
    }
    if (end == TrainEnd::finished && !reached_end()) end = TrainEnd::stopped_early;
    on_root(group_, [&] {
      if (end == TrainEnd::finished && state_.epoch_step > 0) finish_between_epochs();
      write_page(end_text(end), false);
    });
    return {end, state_};
  }

 private:
  void say(const std::string& line) const {
    if (group_.is_root() && hooks_.say) hooks_.say(line);
  }

  std::string share_text() const {
    if (group_.size() == 1) return "";
    return fmt::format(", {} processes with {} images each per step", group_.size(), o_.batch);
  }

  void warn_of_data() const {
    const auto tell = [this](const std::vector<std::string>& lines) {
      for (const std::string& line : lines) say("warning: " + line);
    };
    const auto training = labelled_pictures(loader_.dataset());
    tell(layout_warnings(loader_.dataset().roots));
    if (label_weight(o_) > 0)
      tell(data_warnings(training, DataUse::training));  // who learns from a teacher alone learns no classes
    if (!validation_loader_) return;
    tell(layout_warnings(validation_loader_->dataset().roots));
    tell(overlap_warnings(training, labelled_pictures(validation_loader_->dataset())));
  }

  void report_unreadable(Loader& loader) {
    loader.on_unreadable([this](const Sample& sample, const std::string& reason) {
      say(fmt::format("skipped {}: {}", sample.path.string(), reason));
    });
  }

  void check_data(bool resumed) {
    const std::uint64_t fingerprint = loader_.dataset().fingerprint;
    std::uint64_t of_root = fingerprint;
    share(group_, of_root);
    if (fingerprint != of_root) {
      throw Error(ErrorCode::input,
                  fmt::format("the training data ({}) is not that of rank 0; every host needs the same "
                              "files under the --data folders",
                              count_text(loader_.dataset())));
    }
    if (resumed && fingerprint != state_.data_fingerprint) {
      throw Error(ErrorCode::usage,
                  fmt::format("{}: the training data has changed since the run began, so it can't go on as it would "
                              "have; start a new run with --init {}",
                              files_.folder.string(), files_.last().string()));
    }
    state_.data_fingerprint = fingerprint;
    if (resumed) check_counters();
  }

  // Of a run that goes on with the same data.
  void check_counters() const {
    const std::uint64_t whole = state_.step - state_.epoch_step,
                        steps = loader_.steps_per_epoch();  // load_run: no less than epoch_step
    if (state_.epoch_step < steps && whole % steps == 0 && whole / steps == state_.epoch) return;
    throw Error(
        ErrorCode::model,
        fmt::format("{}: its counters contradict each other: after {} epochs of {} steps and {} more, it can't be "
                    "at step {}; start a new run with --init {}",
                    files_.last().string(), state_.epoch, steps, state_.epoch_step, state_.step,
                    files_.last().string()));
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
    double distance_maps = 0, distance_logits = 0;
    double right = 0;  // images called rightly
    double labelled = 0;
  };

  // Over all processes; the gradients are added by the engine.
  BatchSums sum_over_processes(const BatchSums& own) const {
    std::array<double, 6> sums = {own.loss_a,          own.loss_b, own.distance_maps,
                                  own.distance_logits, own.right,  own.labelled};
    group_.communicator.sum(sums);
    return {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]};
  }

  // Leaves the gradients of the batch's mean loss in the engine. The batch passes in o_.accumulate parts, whose
  // gradients add up.
  BatchSums accumulate_gradients(const Batch& batch) {
    const float image_share = 1.0f / static_cast<float>(batch.global_n);
    const float loss_scale = label_weight(o_) * image_share;
    const int parts = std::min(o_.accumulate, batch.n);
    const std::size_t image_bytes = std::size_t{3} * batch.height * batch.width;
    BatchSums sums;
    for (int part = 0; part < parts; ++part) {
      const int first = batch.n * part / parts, end = batch.n * (part + 1) / parts;
      const auto part_of = [&](const std::pmr::vector<std::uint8_t>& pixels) {
        return PixelBatch{pixels.data() + first * image_bytes, end - first, batch.height, batch.width,
                          pixel_memory_.kind()};
      };
      TrainingBatch images{part_of(batch.pixels), std::span(batch.labels).subspan(first, end - first)};
      if (teacher_) images.teacher = teacher_->teach(part_of(teacher_pixels(batch)), o_.distill_weight * image_share);
      const DrawKey key{o_.seed, state_.step, batch.first_image + first};
      const TrainingResult result = forward_backward(*engine_, images, o_.regularisation, key, loss_scale,
                                                     part == 0 ? GradientMode::overwrite : GradientMode::accumulate);
      sums.loss_a += result.loss_a;
      sums.loss_b += result.loss_b;
      sums.distance_maps += result.distance_maps;
      sums.distance_logits += result.distance_logits;
      for (std::size_t i = 0; i < result.logit_a.size(); ++i) {
        if (images.labels[i] == kUnlabelled) continue;
        sums.right += (result.logit_a[i] > 0) == (images.labels[i] == kFake);
        ++sums.labelled;
      }
    }
    return sums;
  }

  // Pictures that are gone end the run: with others in their place it could not be repeated, nor resumed.
  void next_batch(Batch& batch) {
    try {
      if (loader_.next(batch)) return;
    } catch (const Unavailable& error) {
      throw Error(ErrorCode::input,
                  fmt::format("{}; put that right and go on from step {} with --resume", error.what(), saved_step_));
    }
    throw Error(ErrorCode::input, "the data ended before the epoch did");
  }

  // One optimizer step.
  void train_on(const Batch& batch) {
    const Clock::time_point start = Clock::now();
    const BatchSums sums = sum_over_processes(accumulate_gradients(batch));
    const double n = batch.global_n;
    double loss = (sums.loss_a + o_.regularisation.alpha * sums.loss_b) / n;
    if (teacher_) {
      loss =
          double{label_weight(o_)} * loss + double{o_.distill_weight} * (sums.distance_maps + sums.distance_logits) / n;
    }
    demand_sane("loss", loss, o_.loss_limit);

    AdamOptions adam = o_.adam;
    adam.learning_rate = learning_rate(o_, state_.epoch);
    const double norm = engine_->training().adam(adam, state_.step + 1);
    demand_sane("gradient's norm", norm, std::numeric_limits<double>::max());

    ++state_.step;
    ++state_.epoch_step;
    state_.epoch_loss += loss * n;
    state_.epoch_right += sums.right;
    state_.epoch_images += n;
    state_.epoch_labelled += sums.labelled;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (!group_.is_root()) return;
    const double labelled = sums.labelled;  // 0 / 0: nothing is known
    log_->append(StepRecord{state_.step, state_.epoch, loss, sums.loss_a / labelled, sums.loss_b / labelled,
                            sums.right / labelled, adam.learning_rate, norm, n / seconds, sums.distance_maps / n,
                            sums.distance_logits / n});
    show_progress(loss, n);
  }

  void demand_sane(const char* what, double value, double limit) const {
    if (std::isfinite(value) && value <= limit) return;
    throw Error(ErrorCode::input, fmt::format("training diverged in step {} (epoch {}): the {} is {:.4g}; the last "
                                              "good checkpoint is {} (step {}); try a "
                                              "lower --lr, from there with --init {}",
                                              state_.step + 1, state_.epoch + 1, what, value, files_.last().string(),
                                              saved_step_, files_.last().string()));
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
    record.accuracy = state_.epoch_right / state_.epoch_labelled;
    record.step = state_.step;
    record.epoch = ++state_.epoch;
    record.seconds = state_.seconds;
    state_.epoch_step = 0;
    state_.epoch_loss = state_.epoch_right = state_.epoch_images = state_.epoch_labelled = 0;
    on_root(group_, [&] { judge(record); });
    share(group_, state_.epochs_without_gain);
    last_step_ = Clock::now();
  }

  // Validates, and tells of the epoch.
  void judge(EpochRecord& record) {
    std::string line = fmt::format("epoch {}/{}: loss {:.4f}", record.epoch, o_.epochs, record.loss);
    if (std::isfinite(record.accuracy)) line += fmt::format(", accuracy {:.4f}", record.accuracy);
    if (validation_loader_) {
      record.validation = validate_now();
      record.best = keep_if_best(*record.validation);
      state_.epochs_without_gain = record.best ? 0 : state_.epochs_without_gain + 1;
      line += "; " + describe(*record.validation, record.best);
    }
    log_->append(record);
    say(line);
    write_page("running", true);
  }

  // --max-steps ended the run inside an epoch: its model is judged as well.
  void finish_between_epochs() {
    if (!validation_loader_) return;
    const Validation validation = validate_now();
    const bool best = keep_if_best(validation);
    say(fmt::format("step {}: {}", state_.step, describe(validation, best)));
    write_checkpoint();
  }

  static std::string describe(const Validation& v, bool best) {
    return fmt::format("validation loss {:.4f}, AP {:.4f}, accuracy {:.4f}, reals {:.4f}, fakes {:.4f}{}", v.loss,
                       v.metrics.ap, v.metrics.accuracy, v.metrics.real_accuracy, v.metrics.fake_accuracy,
                       best ? " (best)" : "");
  }

  Validation validate_now() {
    read_model();
    evaluator_->load(model_.architecture, model_.values);
    return validate(*evaluator_, model_.architecture, *validation_loader_);
  }

  bool keep_if_best(const Validation& validation) {
    const double value = best_value(o_.best_by, validation);
    const bool better = !state_.best || value > state_.best->value ||
                        (value == state_.best->value && validation.loss < state_.best->loss);
    if (!better) return false;
    state_.best = BestEpoch{state_.epoch, value, validation.loss};
    model_.provenance = provenance_now(&validation);
    save_model(model_, files_.best());
    return true;
  }

  std::string provenance_now(const Validation* validation) const {
    return provenance(o_, state_, loader_.dataset(), validation_loader_ ? &validation_loader_->dataset() : nullptr,
                      validation)
        .dump();
  }

  void read_model() {
    model_.values.resize(parameter_table(model_.architecture).total_floats);
    engine_->training().read_parameters(model_.values);
  }

  void save() {
    on_root(group_, [&] { write_checkpoint(); });
    saved_step_ = state_.step;
  }

  void write_checkpoint() {
    read_model();
    model_.provenance = provenance_now(nullptr);
    save_run(files_.last(), o_, state_, model_, *engine_, distillation_scale_);
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
    std::string text =
        fmt::format("{}: epoch {} of {}, step {} of {}", status, std::min<std::uint64_t>(state_.epoch + 1, o_.epochs),
                    o_.epochs, state_.step, total_steps());
    if (state_.best) text += fmt::format("; best: epoch {}", state_.best->epoch);
    write_curves(files_.curves(), {o_.name, text, running, loader_.steps_per_epoch()}, o_, *log_);
    next_page_ =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kPageSeconds));
  }

  const ProcessGroup& group_;
  TrainOptions o_;
  RunFiles files_;
  const TrainHooks& hooks_;
  RunState state_;
  Model model_;
  std::unique_ptr<Engine> engine_;
  PixelMemoryOf pixel_memory_;  // the engine's
  Loader loader_;
  std::optional<Teacher> teacher_;
  std::vector<float> distillation_scale_;

  // The root's:
  std::optional<RunLog> log_;
  std::optional<Loader> validation_loader_;
  std::unique_ptr<Engine> evaluator_;  // its weights are those of the last validation

  std::uint64_t saved_step_;
  Clock::time_point next_page_ = Clock::now();
  Clock::time_point last_step_ = Clock::now();
  double average_loss_ = 0, average_step_seconds_ = 0;
  std::uint64_t steps_here_ = 0;
};

}  // namespace

TrainOutcome start_training(TrainOptions options, const TrainHooks& hooks, const ProcessGroup& group) {
  complete_options(options);
  SavedRun run;
  run.options = std::move(options);
  run.state.processes = group.size();
  std::unique_ptr<RunFolder> held;
  on_root(group, [&] {
    run.model = initial_model(run.options);
    require_outside_classes(run.options.out, run.options.data);
    require_outside_classes(run.options.out, run.options.val);
    held = std::make_unique<RunFolder>(run.options.out);
    require_no_run({run.options.out});
  });
  const std::unique_ptr<Model> teacher = share_teacher(group, run, false);
  share_run(group, run);
  return Run(std::move(run), teacher.get(), false, hooks, group).run();
}

TrainOutcome resume_training(const std::filesystem::path& path, const nlohmann::json& given, const TrainHooks& hooks,
                             const ProcessGroup& group) {
  SavedRun run;
  std::unique_ptr<RunFolder> held;
  on_root(group, [&] {
    if (!std::filesystem::exists(RunFiles{path}.last())) {
      throw Error(ErrorCode::usage, fmt::format("{}: no run to resume: it holds no last.lfmw", path.string()));
    }
    held = std::make_unique<RunFolder>(path);
    run = load_run(RunFiles{path}.last());
    deal_out(run, group.size());
    run.options = changed_options(run.options, given, path);
    run.options.out = path;
    complete_options(run.options);
  });
  const std::unique_ptr<Model> teacher = share_teacher(group, run, true);
  share_run(group, run);
  return Run(std::move(run), teacher.get(), true, hooks, group).run();
}

}  // namespace lfm
