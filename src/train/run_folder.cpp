#include "src/train/run_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "lfm/error.h"
#include "src/io/list_folder.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

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

/// A lock holds the number of a process, or nothing yet. What else is called so is someone's file, not to be written
/// over.
bool is_lock(int fd) {
  char text[32] = {};
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  ssize_t size = -1;
  do {
    size = pread(fd, text, sizeof text, 0);
  } while (size < 0 && errno == EINTR);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return size >= 0 && size < static_cast<ssize_t>(sizeof text) && std::all_of(text, text + size, digit);
}

}  // namespace

void require_no_run(const RunFiles& files) {
  std::error_code error;
  if (fs::exists(files.last(), error)) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: the folder already holds a run; go on with it by --resume, or choose another --out",
                            files.folder.string()));
  }
  for (const fs::path& left : {files.best(), files.log(), files.curves()}) {
    // A run that was killed before its first checkpoint leaves an empty log.
    if (!fs::exists(left, error) || (left == files.log() && fs::file_size(left, error) == 0)) continue;
    throw Error(ErrorCode::usage,
                fmt::format("{}: exists already, and the run would replace it; move it away, or choose another --out",
                            left.string()));
  }
}

void require_outside_classes(const fs::path& run, const std::vector<fs::path>& data_roots) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(run, error);
  for (const fs::path& root : data_roots) {
    const fs::path below = folder.lexically_relative(fs::weakly_canonical(root, error));
    const bool outside = below.empty() || *below.begin() == "..";
    const bool in_class = std::any_of(below.begin(), below.end(),
                                      [](const fs::path& part) { return part == "0_real" || part == "1_fake"; });
    if (outside || !in_class) continue;
    throw Error(ErrorCode::usage, fmt::format("{}: the folder lies among the pictures of {}; choose another --out",
                                              run.string(), root.string()));
  }
}

RunFolder::RunFolder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    throw Error(ErrorCode::output, fmt::format("{}: cannot make the folder: {}", path.string(), error.message()));

  const std::filesystem::path lock = path / "lock";
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    throw Error(ErrorCode::output,
                fmt::format("{}: cannot write: {}; choose another --out", lock.string(), std::strerror(errno)));
  }
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const bool busy = errno == EWOULDBLOCK;
    const std::string cause = busy ? fmt::format("{} is training into this folder", holder(lock_))
                                   : fmt::format("cannot lock {}: {}", lock.string(), std::strerror(errno));
    close(lock_);
    throw Error(ErrorCode::output, fmt::format("{}: {}; wait for it or choose another --out", path.string(), cause));
  }
  if (!is_lock(lock_)) {
    close(lock_);
    throw Error(ErrorCode::output,
                fmt::format("{}: is no lock of lfm-cuda train; move it away, or choose another --out", lock.string()));
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
