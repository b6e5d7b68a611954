#include "src/report/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>

#include "lfm/error.h"

namespace lfm {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  const std::string name = path.empty() ? "standard output" : path.string();
  if (error == EPIPE)
    throw Error(ErrorCode::output, name + ": its reader has closed it; the results that follow are lost");
  throw Error(ErrorCode::output, fmt::format("{}: can't be written: {}", name, std::generic_category().message(error)));
}

}  // namespace

std::optional<int> descriptor_of(const std::filesystem::path& path) {
  const std::string& name = path.native();
  if (name.empty() || name == "-" || name == "/dev/stdout") return STDOUT_FILENO;
  if (name == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!name.starts_with(folder)) continue;
    int number = -1;
    const char* end = name.data() + name.size();
    const auto [parsed, error] = std::from_chars(name.data() + folder.size(), end, number);
    if (error == std::errc() && parsed == end && number >= 0) return number;
  }
  return std::nullopt;
}

std::string format_ending(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return ending;
}

Output::Output(const std::filesystem::path& path) : path_(path == "-" ? std::filesystem::path() : path) {
  std::error_code ignored;
  if (const std::optional<int> named = descriptor_of(path)) {
    descriptor_ = *named == STDOUT_FILENO ? STDOUT_FILENO : fcntl(*named, F_DUPFD_CLOEXEC, 3);
    if (descriptor_ < 0) fail(path, errno);
  } else if (std::filesystem::is_character_file(path, ignored) || std::filesystem::is_fifo(path, ignored)) {
    descriptor_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail(path, errno);
  } else {
    file_.emplace(path);
  }
}

Output::~Output() {
  if (descriptor_ >= 0 && descriptor_ != STDOUT_FILENO) close(descriptor_);
}

void Output::write(std::string_view text) {
  if (file_) return file_->write(text);
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Output::commit() {
  if (file_) return file_->commit();
  // Some file systems report a failed write only when the descriptor is closed.
  const int copy = dup(descriptor_);
  if (copy >= 0 && close(copy) != 0) fail(path_, errno);
}

bool Output::is_terminal() const { return !file_ && isatty(descriptor_) == 1; }

void write_output(const std::filesystem::path& path, std::string_view text) {
  Output output(path);
  output.write(text);
  output.commit();
}

}  // namespace lfm
