// What the program asks of its video module, lfm-video.so: a library of its own, loaded for the first film, because FFmpeg's libraries bring a
// hundred others, which every other command would wait for. Plain C across the border: both sides may come from different compilers.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct LfmVideo;

struct LfmVideoFrame {
  int width, height;
  int orientation;           // EXIF's 1 to 8, that turns it upright
  double seconds;            // from the film's beginning
  const std::uint8_t* rgb;   // [height][width][3]; the module's, good until the next call
};

// Null with a text in error where the file can't be read.
typedef LfmVideo* LfmVideoOpen(const char* path, std::uint64_t max_pixels, char* error, std::size_t error_bytes);
// The first frame that is shown at that time or later, none that was given before: 1. 0 at the end; -1 with a text in error.
typedef int LfmVideoNext(LfmVideo* video, double seconds, LfmVideoFrame* frame, char* error, std::size_t error_bytes);
typedef void LfmVideoClose(LfmVideo* video);

}  // extern "C"

namespace lfm {
inline constexpr const char* kVideoOpen = "lfm_video_open";
inline constexpr const char* kVideoNext = "lfm_video_next";
inline constexpr const char* kVideoClose = "lfm_video_close";
}  // namespace lfm
