#include "src/train/run_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>

#include "lfm/error.h"
#include "src/io/json.h"

namespace lfm {
namespace {

using nlohmann::json;

constexpr const char* kMomentM = "training.m";
constexpr const char* kMomentV = "training.v";
constexpr const char* kDistillationScale = "training.distillation_scale";

json to_json(const RunState& s) {
  json object = {{"step", s.step},
                 {"epoch", s.epoch},
                 {"epoch_step", s.epoch_step},
                 {"epoch_loss", s.epoch_loss},
                 {"epoch_right", s.epoch_right},
                 {"epoch_images", s.epoch_images},
                 {"epoch_labelled", s.epoch_labelled},
                 {"epochs_without_gain", s.epochs_without_gain},
                 {"seconds", s.seconds},
                 {"data_fingerprint", s.data_fingerprint},
                 {"processes", s.processes}};
  if (s.teacher_fingerprint) object["teacher_fingerprint"] = s.teacher_fingerprint;
  if (s.best) object["best"] = {{"epoch", s.best->epoch}, {"value", s.best->value}, {"loss", s.best->loss}};
  return object;
}

RunState state_from_json(const json& j) {
  RunState s;
  s.step = json_number<std::uint64_t>(j.at("step"));
  s.epoch = json_number<std::uint64_t>(j.at("epoch"));
  s.epoch_step = json_number<std::uint64_t>(j.at("epoch_step"));
  s.epoch_loss = json_number<double>(j.at("epoch_loss"));
  s.epoch_right = json_number<double>(j.at("epoch_right"));
  s.epoch_images = json_number<double>(j.at("epoch_images"));
  const auto labelled = j.find("epoch_labelled");  // before there were teachers, all of them
  s.epoch_labelled = labelled == j.end() ? s.epoch_images : json_number<double>(*labelled);
  if (const auto teacher = j.find("teacher_fingerprint"); teacher != j.end())
    s.teacher_fingerprint = json_number<std::uint64_t>(*teacher);
  s.epochs_without_gain = json_number<std::uint64_t>(j.at("epochs_without_gain"));
  s.seconds = json_number<double>(j.at("seconds"));
  s.data_fingerprint = json_number<std::uint64_t>(j.at("data_fingerprint"));
  if (const auto processes = j.find("processes"); processes != j.end()) s.processes = json_number<int>(*processes);
  if (s.processes < 1) throw std::runtime_error("its number of processes is below 1");
  if (const auto best = j.find("best"); best != j.end()) {
    s.best = BestEpoch{json_number<std::uint64_t>(best->at("epoch")), json_number<double>(best->at("value")),
                       json_number<double>(best->at("loss"))};
  }
  return s;
}

/// A run counts up from nothing: what no run can have counted would let it go on with other images, or never end.
void check_counters(const RunState& s) {
  const auto require = [](bool holds, const char* contradiction) {
    if (!holds)
      throw std::runtime_error(
          fmt::format("its counters contradict each other: {}; start a new run with --init", contradiction));
  };
  require(s.epoch_step <= s.step && s.epoch <= s.step - s.epoch_step, "fewer steps than the epochs take");
  require(s.epochs_without_gain <= s.epoch, "more epochs without a better model than epochs");
  require(!s.best || s.best->epoch <= s.epoch, "its best epoch is still to come");
  require(s.epoch_right >= 0 && s.epoch_right <= s.epoch_labelled && s.epoch_labelled <= s.epoch_images,
          "more images called rightly than seen");
  require((s.epoch_images > 0) == (s.epoch_step > 0), "images without a step, or a step without images");
  require(s.epoch_loss >= 0 && s.seconds >= 0, "a negative loss or time");
}

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

void save_run(const std::filesystem::path& path, const TrainOptions& options, const RunState& state, const Model& model,
              Engine& engine, std::span<const float> distillation_scale) {
  const std::size_t trainable = parameter_table(model.architecture).trainable_floats;
  std::vector<float> m(trainable), v(trainable);
  engine.training().read_moments(m, v);
  std::vector<Tensor> tensors = {float_tensor(kMomentM, {trainable}, m), float_tensor(kMomentV, {trainable}, v)};
  if (!distillation_scale.empty()) {
    tensors.push_back(float_tensor(kDistillationScale, {distillation_scale.size()}, distillation_scale));
  }
  save_checkpoint(model, {{"options", to_json(options)}, {"state", to_json(state)}}, tensors, path);
}

SavedRun load_run(const std::filesystem::path& path) { return load_run(load_checkpoint(path)); }

SavedRun load_run(const Checkpoint& checkpoint) {
  SavedRun run;
  run.model = checkpoint.model;
  try {
    run.options = train_options_from_json(checkpoint.training().at("options"));
    run.state = state_from_json(checkpoint.training().at("state"));
    check_counters(run.state);
    if (run.options.teacher.empty() != (run.state.teacher_fingerprint == 0)) {
      throw std::runtime_error("it names a teacher without its checksum, or a checksum without a teacher");
    }
    if (run.options.architecture != run.model.architecture)
      throw std::runtime_error("its options are of another architecture than its model");
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::model,
                fmt::format("{}: its training state can't be read: {}", checkpoint.path.string(), error.what()));
  }
  const std::size_t trainable = parameter_table(run.model.architecture).trainable_floats;
  run.m = floats(checkpoint.tensor(kMomentM, ElementType::f32, trainable));
  run.v = floats(checkpoint.tensor(kMomentV, ElementType::f32, trainable));
  if (!run.options.teacher.empty()) {
    run.distillation_scale = floats(checkpoint.tensor(kDistillationScale, ElementType::f32, kMapChannels + 1));
    if (!std::ranges::all_of(run.distillation_scale, [](float s) { return std::isfinite(s) && s > 0; })) {
      throw Error(ErrorCode::model,
                  fmt::format("{}: a scale of its distillation is no positive number; start a new run with --init",
                              checkpoint.path.string()));
    }
  }
  return run;
}

void share_run(const ProcessGroup& group, SavedRun& run) {
  if (group.size() == 1) return;
  std::vector<std::uint8_t> text;  // CBOR keeps every bit of a number
  if (group.is_root()) text = json::to_cbor({{"options", to_json(run.options)}, {"state", to_json(run.state)}});
  share(group, text);
  if (!group.is_root()) {
    const json object = json::from_cbor(text);
    run.options = train_options_from_json(object.at("options"));
    run.state = state_from_json(object.at("state"));
    run.model.architecture = run.options.architecture;
  }
  share(group, run.model.values);
  share(group, run.m);
  share(group, run.v);
  share(group, run.distillation_scale);
}

}  // namespace lfm
