// Films from a file in memory: containers and their headers, display matrices, a few frames.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"
#include "lfm/error.h"
#include "src/video/video.h"

namespace lfm::fuzz {
namespace {

constexpr std::uint64_t kMostPixels = 1 << 16;  // large frames are slow, and no other code
constexpr int kFrames = 8;

/// A file that has a path, and takes no place on a disk.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("film", MFD_CLOEXEC)) {
    demand(descriptor_ >= 0 && write(descriptor_, data, size) == static_cast<ssize_t>(size), "a file in memory");
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void read_frames(Video& film) {
  std::uint64_t sum = 0;
  for (int i = 0; i < kFrames; ++i) {
    const std::optional<VideoFrame> frame = film.next(i * 0.1);
    if (!frame) return;
    const Image& image = frame->image;
    demand(image.width > 0 && image.height > 0, "a frame has pixels");
    const std::uint64_t pixels = static_cast<std::uint64_t>(image.width) * static_cast<std::uint64_t>(image.height);
    demand(pixels <= kMostPixels && image.rgb.size() == 3 * pixels, "no frame beyond the limit");
    demand(frame->orientation >= 1 && frame->orientation <= 8, "an orientation of EXIF's");
    demand(frame->seconds >= i * 0.1 - 1e-5 && frame->seconds < 1e9,
           "no frame before the time asked for, none at no time");
    for (const std::uint8_t value : image.rgb) sum += value;
  }
  demand(sum <= std::uint64_t{255} * 3 * kMostPixels * kFrames, "every pixel can be read");
}

}  // namespace
}  // namespace lfm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm::fuzz;
  const MemoryFile file(data, size);
  try {
    lfm::Video film(file.path(), {.max_pixels = kMostPixels});
    read_frames(film);
  } catch (const lfm::Error& error) {
    demand(error.code() == lfm::ErrorCode::input && *error.what() != '\0', "an error has words");
  }
  return 0;
}
