#include "src/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "lfm/error.h"
#include "src/io/file_name.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

/// Unique among the living writers of a folder: a process number and a count. Where the file's own name is nearly as
/// long as names may be, only its beginning is taken.
fs::path temporary_name(const fs::path& path) {
  constexpr std::size_t longest = 100;
  static std::atomic<unsigned> count{0};
  const std::string name = shortened(path.filename().string(), longest);
  return path.parent_path() / fmt::format(".{}.{}-{}.tmp", name, getpid(), count++);
}

const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT: return "; free some space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS: return "; choose a folder you may write to";
    case ENOENT:
    case ENOTDIR: return "; create the folder first";
    case ENAMETOOLONG: return "; choose a shorter name";
    default: return "";
  }
}

}  // namespace

fs::path followed(fs::path path) {
  std::error_code error;
  for (int links = 0; links < 40 && fs::is_symlink(path, error); ++links) {
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;  // an absolute target replaces the folder
  }
  return path;
}

AtomicFile::AtomicFile(const fs::path& path, Links links) : path_(links == Links::follow ? followed(path) : path) {
  std::error_code ignored;
  const bool link = fs::is_symlink(path_, ignored);  // where links are followed: one of a ring
  const bool other = !link && fs::exists(path_, ignored) && !fs::is_regular_file(path_, ignored);
  if (other || (link && links == Links::follow)) {
    throw Error(ErrorCode::output, fmt::format("{}: exists and is not a file; choose another name", path.string()));
  }
  struct stat status {};
  if (lstat(path_.c_str(), &status) != 0 && errno == ENAMETOOLONG)
    fail("can't be created", ENAMETOOLONG);  // the temporary name may do
  // A crashed process with our number may have left the name behind; then the next one is taken.
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    temporary_ = temporary_name(path_);
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST && errno != EINTR) break;
  }
  if (fd_ < 0) fail("can't be created", errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlink(temporary_.c_str());
  }
}

void AtomicFile::fail(const char* action, int error) const {
  throw Error(ErrorCode::output, fmt::format("{}: {}: {}{}", path_.string(), action,
                                             std::generic_category().message(error), remedy(error)));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("can't be written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::rewrite_start(std::string_view text) {
  if (lseek(fd_, 0, SEEK_SET) < 0) fail("can't be written", errno);
  write(text);
  if (lseek(fd_, 0, SEEK_END) < 0) fail("can't be written", errno);
}

void AtomicFile::commit() {
  struct stat old {};
  if (lstat(path_.c_str(), &old) == 0 && S_ISREG(old.st_mode))
    fchmod(fd_, old.st_mode & 07777);  // a replaced file keeps its permissions
  if (fsync(fd_) != 0) fail("can't be written", errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("can't be put into place", errno);
  // From here on the file is in place. Its name is durable once the folder is, where the file system can say so.
  const int closed = close(std::exchange(fd_, -1));
  if (closed != 0 && errno != EINTR) fail("may not have been written", errno);
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return;  // a folder may be writable and not readable
  const int synced = fsync(folder_fd);
  const int error = errno;
  close(folder_fd);
  if (synced != 0 && error != EINVAL && error != EROFS) fail("may not survive a power failure", error);
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes, Links links) {
  AtomicFile file(path, links);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace lfm
