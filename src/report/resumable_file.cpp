#include "src/report/resumable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "lfm/error.h"
#include "src/io/atomic_file.h"
#include "src/io/json.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kRemedy = "; name another file, or give the options that it was begun with";

[[noreturn]] void refuse(const fs::path& path, const std::string& cause) {
  throw Error(ErrorCode::usage, fmt::format("{}: can't be gone on with: {}", path.string(), cause));
}

/// A path as a record's JSON has it: bytes that are no UTF-8 have become U+FFFD.
std::string as_recorded(const fs::path& path) { return json::parse(json_text(json(path.string()))).get<std::string>(); }

json read_settings(const fs::path& path) {
  const fs::path file = ResumableFile::settings_path(path);
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    refuse(path, fmt::format("it holds something, but there is no {} beside it that tells what its scores were made "
                             "with; name another file",
                             file.filename().string()));
  }
  std::stringstream text;
  text << in.rdbuf();
  try {
    return parse_json_object(text.str());
  } catch (const std::runtime_error& error) {
    refuse(path, fmt::format("{} is damaged: {}; name another file", file.string(), error.what()));
  }
}

/// "view was tiles and is native, tiles was 9 and is 4"
std::string differences(const json& before, const json& now) {
  std::vector<std::string> names;
  const auto shown = [](const json& settings, const std::string& name) {
    if (!settings.contains(name)) return std::string("unknown");
    return settings[name].is_string() ? settings[name].get<std::string>() : json_text(settings[name]);
  };
  json all = before;
  all.update(now);
  for (const auto& [name, value] : all.items()) {
    const std::string was = shown(before, name), is = shown(now, name);
    if (was != is) names.push_back(fmt::format("{} was {} and is {}", name, was, is));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

fs::path ResumableFile::settings_path(const fs::path& path) {
  fs::path file = path;
  return file += ".settings";
}

void ResumableFile::fail(const char* action, int error) const {
  throw Error(ErrorCode::output,
              fmt::format("{}: can't be {}: {}", path_.string(), action, std::generic_category().message(error)));
}

ResumableFile::ResumableFile(const fs::path& path, const json& settings) : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("opened", errno);
  try {
    struct stat status {};
    if (fstat(fd_, &status) != 0) fail("read", errno);
    if (!S_ISREG(status.st_mode)) refuse(path, "it is no regular file");
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) refuse(path, "another process is writing to it");
    if (fstat(fd_, &status) != 0) fail("read", errno);
    if (status.st_size == 0) {  // no record is made with other settings than those beside it
      write_file_atomically(settings_path(path), json_text(settings, 2) + "\n");
      return;
    }
    const json before = read_settings(path);
    if (before != settings) refuse(path, differences(before, settings) + std::string(kRemedy));
    read_records();
  } catch (...) {
    close(fd_);
    throw;
  }
}

ResumableFile::~ResumableFile() { close(fd_); }

void ResumableFile::read_records() {
  std::ifstream in(path_, std::ios::binary);
  if (!in) fail("read", errno);
  off_t whole = 0;  // bytes of lines that have their end
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const json record = json::parse(line, nullptr, false);
    if (!record.is_object() || !record.contains("path") || !record["path"].is_string()) {
      refuse(path_,
             fmt::format("line {} is no record of detect; mend or remove it, or name another file", records_ + 1));
    }
    ++untaken_[record["path"].get<std::string>()];
    ++records_;
    if (record.contains("error")) ++failed_;
    whole += static_cast<off_t>(line.size() + 1);
  }
  if (in.bad()) fail("read", errno);
  if (ftruncate(fd_, whole) != 0) fail("written", errno);
}

bool ResumableFile::take(const fs::path& path) {
  if (untaken_.empty()) return false;
  const auto found = untaken_.find(as_recorded(path));
  if (found == untaken_.end()) return false;
  if (--found->second == 0) untaken_.erase(found);
  return true;
}

void ResumableFile::write(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(fd_, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("written", errno);
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

void ResumableFile::commit() {
  if (fsync(fd_) != 0) fail("made durable", errno);
}

}  // namespace lfm
