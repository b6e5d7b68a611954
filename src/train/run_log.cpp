#include "src/train/run_log.h"

#include <fmt/core.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "lfm/error.h"
#include "src/io/atomic_file.h"

namespace lfm {
namespace {

using nlohmann::json;

// JSON has no NaN: it is written as null.
double number(const json& object, const char* key) {
  const json& value = object.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

StepRecord step_from_json(const json& j) {
  const auto distance = [&](const char* key) { return j.contains(key) ? number(j, key) : 0.0; };
  return {j.at("step"),
          j.at("epoch"),
          number(j, "loss"),
          number(j, "loss_a"),
          number(j, "loss_b"),
          number(j, "accuracy"),
          number(j, "learning_rate"),
          number(j, "gradient_norm"),
          number(j, "images_per_second"),
          distance("distance_maps"),
          distance("distance_logits")};
}

EpochRecord epoch_from_json(const json& j) {
  EpochRecord record{j.at("epoch"),         j.at("step"),         number(j, "loss"),
                     number(j, "accuracy"), number(j, "seconds"), j.at("best").get<bool>(),
                     std::nullopt};
  if (const auto found = j.find("validation"); found != j.end()) {
    const json& v = *found;
    record.validation = {number(v, "loss"),
                         {v.at("reals"), v.at("fakes"), number(v, "accuracy"), number(v, "real_accuracy"),
                          number(v, "fake_accuracy"), number(v, "ap")}};
  }
  return record;
}

}  // namespace

json to_json(const StepRecord& r) {
  json object = {{"type", "step"},
                 {"step", r.step},
                 {"epoch", r.epoch},
                 {"loss", r.loss},
                 {"loss_a", r.loss_a},
                 {"loss_b", r.loss_b},
                 {"accuracy", r.accuracy},
                 {"learning_rate", r.learning_rate},
                 {"gradient_norm", r.gradient_norm},
                 {"images_per_second", r.images_per_second}};
  if (r.distance_maps > 0 || r.distance_logits > 0) {
    object["distance_maps"] = r.distance_maps;
    object["distance_logits"] = r.distance_logits;
  }
  return object;
}

json to_json(const EpochRecord& r) {
  json object = {{"type", "epoch"},        {"epoch", r.epoch},     {"step", r.step}, {"loss", r.loss},
                 {"accuracy", r.accuracy}, {"seconds", r.seconds}, {"best", r.best}};
  if (r.validation) {
    const Metrics& m = r.validation->metrics;
    object["validation"] = {{"loss", r.validation->loss},
                            {"reals", m.reals},
                            {"fakes", m.fakes},
                            {"accuracy", m.accuracy},
                            {"real_accuracy", m.real_accuracy},
                            {"fake_accuracy", m.fake_accuracy},
                            {"ap", m.ap}};
  }
  return object;
}

RunLog::RunLog(const std::filesystem::path& path, std::uint64_t keep_steps, std::uint64_t keep_epochs) : path_(path) {
  std::string kept;
  std::ifstream old(path);
  if (keep_steps > 0 && !old && errno != ENOENT) {
    throw Error(ErrorCode::output, fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  }
  for (std::string line; keep_steps > 0 && std::getline(old, line);) {
    const json record =
        json::parse(line, nullptr, /*allow_exceptions=*/false);  // a killed process may leave half a line
    if (!record.is_object()) continue;
    try {
      const bool is_step = record.at("type") == "step";
      if (is_step && record.at("step").get<std::uint64_t>() <= keep_steps) {
        steps_.push_back(step_from_json(record));
      } else if (!is_step && record.at("epoch").get<std::uint64_t>() <= keep_epochs) {
        epochs_.push_back(epoch_from_json(record));
      } else {
        continue;
      }
    } catch (const json::exception& error) {
      throw Error(ErrorCode::output,
                  fmt::format("{}: not a log of lfm-cuda train ({}); move it away", path.string(), error.what()));
    }
    kept += line + '\n';
  }
  if (old.bad())
    throw Error(ErrorCode::output, fmt::format("{}: cannot be read to its end; check the disk", path.string()));
  old.close();
  write_file_atomically(path, kept);
  file_.open(path, std::ios::app);
  if (!file_)
    throw Error(ErrorCode::output, fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
}

void RunLog::append(const StepRecord& record) {
  steps_.push_back(record);
  write(to_json(record));
}

void RunLog::append(const EpochRecord& record) {
  epochs_.push_back(record);
  write(to_json(record));
}

void RunLog::write(const json& line) {
  file_ << line.dump() << '\n' << std::flush;
  if (!file_) throw Error(ErrorCode::output, fmt::format("{}: cannot be written: is the disk full?", path_.string()));
}

}  // namespace lfm
