#include "src/io/mapped_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace lfm {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path, ErrorCode code) {
  // O_NONBLOCK: opening a pipe that nobody writes to must fail below, not wait.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) throw Error(code, fmt::format("{}: can't be opened: {}", path.string(), reason(errno)));
  struct stat status {};
  if (fstat(file.fd, &status) != 0)
    throw Error(code, fmt::format("{}: can't be read: {}", path.string(), reason(errno)));
  if (!S_ISREG(status.st_mode)) {
    throw Error(code, fmt::format("{}: is {}, not a file", path.string(),
                                  S_ISDIR(status.st_mode) ? "a folder" : "a device or pipe"));
  }
  if (status.st_size == 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) throw Error(code, fmt::format("{}: can't be mapped: {}", path.string(), reason(errno)));
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace lfm
