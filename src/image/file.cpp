#include "src/image/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "lfm/error.h"
#include "src/image/formats.h"

namespace lfm {
namespace {

struct Descriptor {
  int fd;
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

bool has_image_extension(const std::filesystem::path& path) {
  static constexpr std::array<std::string_view, 32> known = {
      ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp",  ".dib",  ".gif",  ".tga",
      ".psd", ".pnm",  ".ppm", ".pgm",  ".pbm", ".tif",  ".tiff", ".avif", ".heic", ".heif", ".hif",
      ".jxl", ".mpo",  ".dng", ".cr2",  ".cr3", ".nef",  ".arw",  ".raf",  ".orf",  ".rw2"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return std::find(known.begin(), known.end(), extension) != known.end();
}

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const auto fail = [&](const std::string& cause) {
    throw Error(ErrorCode::input, fmt::format("{}: {}", path.string(), cause));
  };
  const auto fail_errno = [&](const char* what) {
    throw Unavailable(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
  };

  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) fail_errno("can't be opened");
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail_errno("can't be read");
  if (S_ISDIR(status.st_mode)) fail("is a folder, not an image");
  const auto check = [&](std::uint64_t size) {
    if (size > max_bytes) fail(fmt::format("is larger than the limit of {} bytes for an image file", max_bytes));
  };
  const std::uint64_t expected = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
  check(expected);

  // One byte more than expected, so that the end shows in the same read; a pipe, or a file that grows,
  // doubles it.
  std::vector<std::byte> bytes(expected == 0 ? 65536 : expected + 1);
  std::size_t size = 0;
  for (;;) {
    if (size == bytes.size()) bytes.resize(2 * size);
    const ::ssize_t n = ::read(file.fd, bytes.data() + size, bytes.size() - size);
    if (n < 0) {
      if (errno == EINTR) continue;
      fail_errno("can't be read");
    }
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
    check(size);
  }
  bytes.resize(size);
  return bytes;
}

bool is_hidden_entry(std::string_view name) { return name.starts_with('.') || name == "__MACOSX"; }

bool counts_as_picture(const std::filesystem::path& path) {
  if (has_image_extension(path)) return true;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) return true;
  std::array<std::byte, kFormatHeadBytes> head;
  const ::ssize_t read = ::read(file.fd, head.data(), head.size());
  if (read < 0) return true;  // told when the file is read again
  return find_format(std::span(head).first(static_cast<std::size_t>(read))) != nullptr;
}

}  // namespace lfm
