#include "src/train/run_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "lfm/error.h"
#include "src/io/list_folder.h"

namespace lfm {
namespace {

/// Files that a process which was killed had begun to write, and under a name that no other will take up again.
void remove_unfinished(const RunFiles& files) {
  std::error_code ignored;
  for (const std::string& name : list_folder(files.folder).names) {
    for (const auto& file : {files.last(), files.best(), files.log(), files.curves()}) {
      const bool unfinished = name.starts_with(fmt::format(".{}.", file.filename().string())) && name.ends_with(".tmp");
      if (unfinished) std::filesystem::remove(files.folder / name, ignored);
    }
  }
}

std::string holder(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof text - 1, 0);
  return size > 0 ? fmt::format("process {}", text) : "another process";
}

}  // namespace

RunFolder::RunFolder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ErrorCode::output, fmt::format("{}: cannot make the folder: {}", path.string(), error.message()));

  const std::filesystem::path lock = path / "lock";
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    throw Error(ErrorCode::output, fmt::format("{}: cannot write: {}; choose another --out", lock.string(), std::strerror(errno)));
  }
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const bool busy = errno == EWOULDBLOCK;
    const std::string cause = busy ? fmt::format("{} is training into this folder", holder(lock_))
                                   : fmt::format("cannot lock {}: {}", lock.string(), std::strerror(errno));
    close(lock_);
    throw Error(ErrorCode::output, fmt::format("{}: {}; wait for it or choose another --out", path.string(), cause));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock_, 0) != 0 || pwrite(lock_, pid.data(), pid.size(), 0) < 0) {
    // The lock holds without the number, which only serves the other process's message.
  }
  try {
    remove_unfinished({path});
  } catch (...) {
    close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

}  // namespace lfm
