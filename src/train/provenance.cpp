#include "src/train/provenance.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

namespace lfm {
namespace {

using nlohmann::json;

// "." and "photos/" have names too.
std::string folder_name(const std::filesystem::path& root) {
  std::error_code error;
  const std::filesystem::path place = std::filesystem::canonical(root, error);
  return (error ? root : place).filename().string();
}

json folders(const Dataset& data) {
  json list = json::array();
  for (const RootSummary& root : data.roots) {
    json folder = {{"folder", folder_name(root.path)}, {"reals", root.reals}, {"fakes", root.fakes}};
    if (root.unlabelled > 0) folder["unlabelled"] = root.unlabelled;
    list.push_back(std::move(folder));
  }
  return list;
}

}  // namespace

json provenance(const TrainOptions& options, const RunState& state, const Dataset& data, const Dataset* held_out,
                const Validation* validation) {
  json settings = to_json(options);
  for (const char* local : {"data", "val", "out", "device", "threads", "cache-mb"}) settings.erase(local);
  settings["init"] = options.init.filename().string();
  settings["teacher"] = options.teacher.filename().string();
  json object = {{"made_by", "lfm-cuda train"}, {"step", state.step},    {"processes", state.processes},
                 {"options", settings},         {"data", folders(data)}, {"reals", data.reals},
                 {"fakes", data.fakes}};
  if (data.unlabelled > 0) object["unlabelled"] = data.unlabelled;
  if (!options.teacher.empty()) object["teacher_fingerprint"] = state.teacher_fingerprint;
  if (held_out) object["val"] = folders(*held_out);
  if (validation) {
    object["validation"] = {{"loss", validation->loss},
                            {"ap", validation->metrics.ap},
                            {"accuracy", validation->metrics.accuracy},
                            {"real_accuracy", validation->metrics.real_accuracy},
                            {"fake_accuracy", validation->metrics.fake_accuracy}};
  }
  return object;
}

}  // namespace lfm
