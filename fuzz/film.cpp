// Films through the video module's own functions, from a file in memory: containers and their headers, display matrices, a
// few frames.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>

#include "fuzz/fuzz.h"
#include "src/video/module.h"

extern "C" {
LfmVideoOpen lfm_video_open;
LfmVideoNext lfm_video_next;
LfmVideoClose lfm_video_close;
}

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

void read_frames(LfmVideo* film) {
  std::array<char, 512> error{};
  std::uint64_t sum = 0;
  for (int i = 0; i < kFrames; ++i) {
    LfmVideoFrame frame{};
    const int given = lfm_video_next(film, i * 0.1, &frame, error.data(), error.size());
    demand(given >= -1 && given <= 1, "a known answer");
    demand(given >= 0 || error[0] != '\0', "an error has words");
    if (given <= 0) return;
    demand(frame.width > 0 && frame.height > 0, "a frame has pixels");
    const std::uint64_t pixels = static_cast<std::uint64_t>(frame.width) * static_cast<std::uint64_t>(frame.height);
    demand(pixels <= kMostPixels, "no frame beyond the limit");
    demand(frame.orientation >= 1 && frame.orientation <= 8, "an orientation of EXIF's");
    demand(frame.seconds >= i * 0.1 - 1e-5 && frame.seconds < 1e9, "no frame before the time asked for, none at no time");
    for (std::size_t at = 0; at < 3 * pixels; ++at) sum += frame.rgb[at];
  }
  demand(sum <= std::uint64_t{255} * 3 * kMostPixels * kFrames, "every pixel can be read");
}

}  // namespace
}  // namespace lfm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm::fuzz;
  const MemoryFile file(data, size);
  std::array<char, 512> error{};
  LfmVideo* const film = lfm_video_open(file.path().c_str(), kMostPixels, error.data(), error.size());
  demand(film != nullptr || error[0] != '\0', "an error has words");
  if (film == nullptr) return 0;
  read_frames(film);
  lfm_video_close(film);
  return 0;
}
