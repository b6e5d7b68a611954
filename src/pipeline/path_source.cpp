#include "src/pipeline/path_source.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "lfm/error.h"
#include "src/image/file.h"
#include "src/io/list_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr int kPollMilliseconds = 100;  ///< after which a waiting reader looks whether it was cancelled

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

bool LineReader::wait_until_readable() {
  pollfd request{descriptor_, POLLIN, 0};
  if (poll(&request, 1, 0) > 0) return true;  // an error shows in read()
  starved_ = true;
  int ready = 0;
  while (!cancelled_ && (ready == 0 || (ready < 0 && errno == EINTR))) ready = poll(&request, 1, kPollMilliseconds);
  starved_ = false;
  return !cancelled_;
}

std::optional<std::string> LineReader::next() {
  for (;;) {
    const std::size_t end = buffer_.find('\n', searched_);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      searched_ = 0;
      return line;
    }
    searched_ = buffer_.size();
    if (ended_) {
      if (buffer_.empty()) return std::nullopt;
      searched_ = 0;
      return std::exchange(buffer_, {});
    }
    if (buffer_.size() > kLongestLine) {
      ended_ = true;
      buffer_.clear();
      throw Error(ErrorCode::input, "the list holds a line too long to be a path; give one path a line");
    }
    if (!wait_until_readable()) return std::nullopt;
    std::array<char, 16 * 1024> block;
    const ssize_t got = read(descriptor_, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      ended_ = true;
      throw Error(ErrorCode::input, fmt::format("the list can't be read: {}", reason(errno)));
    }
    if (got == 0) ended_ = true;
    buffer_.append(block.data(), static_cast<std::size_t>(got));
  }
}

PathSource::PathSource(std::vector<fs::path> inputs, int list_descriptor)
    : inputs_(inputs.begin(), inputs.end()), list_(list_descriptor) {}

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
        const std::optional<std::string> line = list_.next();
        if (!line) reading_list_ = false;
        if (!line || line->empty()) continue;
        input = visit(*line, false);
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
  if (path.native().find('\0') != std::string::npos) return Input{path, from_folder, "the path holds a zero byte"};
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
  return Input{path, true, fmt::format("the folder can't be read{}: {}", listing.names.empty() ? "" : " to its end", listing.error.message())};
}

std::optional<std::size_t> count_paths(const std::vector<fs::path>& inputs) {
  if (std::find(inputs.begin(), inputs.end(), fs::path("-")) != inputs.end()) return std::nullopt;
  PathSource source(inputs);
  std::size_t count = 0;
  while (source.next()) ++count;
  return count;
}

}  // namespace lfm
