#include "src/pipeline/find_model.h"

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "lfm/error.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

bool is_path(const std::string& name) {
  std::error_code ignored;
  return name.find('/') != std::string::npos || fs::path(name).extension() == ".lfmw" || fs::exists(name, ignored);
}

}  // namespace

std::vector<fs::path> weight_folders() {
  std::vector<fs::path> folders;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share" / "lfm-cuda");
  if (folders.empty() || folders[0] != LFM_DATA_DIR) folders.emplace_back(LFM_DATA_DIR);
  return folders;
}

std::vector<fs::path> find_models(const std::string& names) {
  std::error_code ignored;
  if (names.find(',') == std::string::npos || fs::exists(names, ignored)) return {find_model(names)};
  std::vector<fs::path> files;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    if (end == begin) throw Error(ErrorCode::usage, fmt::format("'{}': a name is missing beside a comma", names));
    files.push_back(find_model(names.substr(begin, end - begin)));
    begin = end + 1;
  }
  return files;
}

Model load_models(const std::vector<fs::path>& files, Combination combination) {
  if (files.size() == 1) return load_model(files[0]);
  std::vector<Model> models;
  for (const fs::path& file : files) models.push_back(load_model(file));
  return join_models(std::move(models), combination);
}

fs::path find_model(const std::string& name) {
  std::string wanted = name;
  if (wanted.empty()) {
    const char* from_environment = std::getenv("LFM_MODEL");
    wanted = from_environment != nullptr && *from_environment != '\0' ? from_environment : "default";
  }
  std::error_code ignored;
  if (is_path(wanted)) {
    if (fs::exists(wanted, ignored)) return wanted;
    throw Error(ErrorCode::model, fmt::format("{}: there is no such model file", wanted));
  }
  std::vector<std::string> searched;
  for (const fs::path& folder : weight_folders()) {
    fs::path file = folder / (wanted + ".lfmw");
    if (fs::exists(file, ignored)) return file;
    searched.push_back(file.string());
  }
  throw Error(
      ErrorCode::model,
      fmt::format(
          "no model named '{}' is installed (searched {}); give one with --model FILE.lfmw or LFM_MODEL, or make "
          "one from a checkpoint: lfm-cuda convert checkpoint.pth model.lfmw",
          wanted, fmt::join(searched, ", ")));
}

}  // namespace lfm
