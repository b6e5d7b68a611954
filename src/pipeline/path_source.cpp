#include "src/pipeline/path_source.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "lfm/error.h"
#include "src/image/file.h"
#include "src/io/list_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

}  // namespace

PathSource::PathSource(std::vector<fs::path> inputs, int list_descriptor, ListSeparator separator)
    : inputs_(inputs.begin(), inputs.end()), list_(list_descriptor, separator) {}

std::optional<Input> PathSource::next() {
  while (!cancelled_) {
    std::optional<Input> input;
    if (!folders_.empty()) {
      auto& entries = folders_.back().entries;
      if (entries.empty()) {
        folders_.pop_back();
        continue;
      }
      const fs::path path = std::move(entries.front());
      entries.pop_front();
      input = visit(path, true);
    } else if (reading_list_) {
      try {
        const std::optional<ListedPath> listed = list_.next();
        if (!listed) {
          reading_list_ = false;
          continue;
        }
        input = listed->error.empty() ? visit(listed->path, false) : Input{listed->path, false, listed->error};
      } catch (const Error& error) {
        reading_list_ = false;
        input = Input{"-", false, error.what()};
      }
    } else if (!inputs_.empty()) {
      const fs::path path = std::move(inputs_.front());
      inputs_.pop_front();
      if (path == "-") {
        reading_list_ = true;
        continue;
      }
      input = visit(path, false);
    } else {
      return std::nullopt;
    }
    if (input) return input;
  }
  return std::nullopt;
}

std::optional<Input> PathSource::visit(const fs::path& path, bool from_folder) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    if (!from_folder) visited_.clear();  // naming a folder twice scores it twice
    if (!visited_.emplace(status.st_dev, status.st_ino).second) return std::nullopt;
    return enter(path);
  }
  return Input{path, from_folder, {}};
}

std::optional<Input> PathSource::enter(const fs::path& path) {
  const FolderListing listing = list_folder(path);
  Folder& entered = folders_.emplace_back();
  for (const std::string& name : listing.names) {
    if (!is_hidden_entry(name)) entered.entries.push_back(path / name);
  }
  if (!listing.error) return std::nullopt;
  return Input{path, true,
               fmt::format("the folder can't be read{}: {}", listing.names.empty() ? "" : " to its end",
                           listing.error.message())};
}

std::optional<std::size_t> count_paths(const std::vector<fs::path>& inputs,
                                       const std::function<void(const Input&)>& visit) {
  std::vector<fs::path> known;
  std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(known),
               [](const fs::path& input) { return input != "-"; });
  const bool listed = known.size() != inputs.size();
  if (listed && !visit) return std::nullopt;
  PathSource source(std::move(known));
  std::size_t count = 0;
  while (const std::optional<Input> input = source.next()) {
    if (visit) visit(*input);
    ++count;
  }
  return listed ? std::nullopt : std::optional(count);
}

}  // namespace lfm
