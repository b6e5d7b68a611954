// Of a build without FFmpeg's libraries.
#include "lfm/error.h"
#include "src/video/video.h"

namespace lfm {

std::string why_no_films() {
  return "films can't be read: this build was made without FFmpeg's libraries; build lfm-cuda with them (packages "
         "libavformat-dev, libavcodec-dev, "
         "libswscale-dev), or extract frames as PNG first (ffmpeg -i FILE frame-%05d.png)";
}

struct Video::Impl {};

Video::Video(const std::filesystem::path&, const DecodeLimits&) { throw Error(ErrorCode::input, why_no_films()); }
Video::~Video() = default;
std::optional<VideoFrame> Video::next(double) { return std::nullopt; }

}  // namespace lfm
