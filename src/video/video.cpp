#include "src/video/video.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "lfm/error.h"
#include "src/video/module.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

struct Module {
  LfmVideoOpen* open = nullptr;
  LfmVideoNext* next = nullptr;
  LfmVideoClose* close = nullptr;
  std::string error;  ///< why it isn't there
};

/// Beside the program, as built and as installed, then where the library was installed to.
std::vector<fs::path> places() {
  std::vector<fs::path> files;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) files.push_back(program.parent_path().parent_path() / LFM_LIBRARY_DIR_NAME / "lfm-cuda" / "lfm-video.so");
  files.emplace_back(fs::path(LFM_LIBRARY_DIR) / "lfm-cuda" / "lfm-video.so");
  return files;
}

Module load() {
  Module module;
  std::string searched;
  for (const fs::path& file : places()) {
    searched += (searched.empty() ? "" : ", ") + file.string();
    std::error_code ignored;
    if (!fs::exists(file, ignored)) continue;
    errno = 0;
    void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed: FFmpeg's libraries don't like it
    if (library == nullptr) {
      if (errno == ENOMEM) throw std::bad_alloc();  // and another film may have it loaded
      const char* words = dlerror();
      module.error = fmt::format("films can't be read: the video module can't be loaded ({}); install FFmpeg's libraries (packages libavformat, "
                                 "libavcodec, libswscale)",
                                 words != nullptr ? words : file.string());
      return module;
    }
    module.open = reinterpret_cast<LfmVideoOpen*>(dlsym(library, kVideoOpen));
    module.next = reinterpret_cast<LfmVideoNext*>(dlsym(library, kVideoNext));
    module.close = reinterpret_cast<LfmVideoClose*>(dlsym(library, kVideoClose));
    if (module.open != nullptr && module.next != nullptr && module.close != nullptr) return module;
  }
  module.error = fmt::format("films can't be read: this build has no video module (searched {}); build lfm-cuda with FFmpeg's libraries "
                             "(packages libavformat-dev, libavcodec-dev, libswscale-dev), or extract frames as PNG first (ffmpeg -i FILE frame-%05d.png)",
                             searched);
  return module;
}

const Module& module() {
  static const Module loaded = load();
  return loaded;
}

}  // namespace

std::string why_no_films() { return module().error; }

struct Video::Impl {
  LfmVideo* video = nullptr;
  std::array<char, 512> error{};
};

Video::Video(const fs::path& file, const DecodeLimits& limits) : impl_(std::make_unique<Impl>()) {
  if (!module().error.empty()) throw Error(ErrorCode::input, module().error);
  impl_->video = module().open(file.c_str(), limits.max_pixels, impl_->error.data(), impl_->error.size());
  if (impl_->video == nullptr) throw Error(ErrorCode::input, impl_->error.data());
}

Video::~Video() {
  if (impl_->video != nullptr) module().close(impl_->video);
}

std::optional<VideoFrame> Video::next(double seconds) {
  LfmVideoFrame frame{};
  const int given = module().next(impl_->video, seconds, &frame, impl_->error.data(), impl_->error.size());
  if (given < 0) throw Error(ErrorCode::input, impl_->error.data());
  if (given == 0) return std::nullopt;
  VideoFrame result{{frame.width, frame.height, {}}, frame.orientation, frame.seconds};
  const std::size_t bytes = std::size_t{3} * static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height);
  result.image.rgb.assign(frame.rgb, frame.rgb + bytes);
  return result;
}

}  // namespace lfm
