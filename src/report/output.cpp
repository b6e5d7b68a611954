#include "src/report/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "lfm/error.h"

namespace lfm {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  const std::string name = path.empty() ? "standard output" : path.string();
  if (error == EPIPE) throw Error(ErrorCode::output, name + ": its reader has closed it; the results that follow are lost");
  throw Error(ErrorCode::output, fmt::format("{}: can't be written: {}", name, std::generic_category().message(error)));
}

}  // namespace

Output::Output(const std::filesystem::path& path) : path_(path) {
  std::error_code ignored;
  if (path.empty()) {
    descriptor_ = STDOUT_FILENO;
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

}  // namespace lfm
