// Frames of films, by FFmpeg's libraries, which are loaded for the first film.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "lfm/image.h"

namespace lfm {

struct VideoFrame {
  Image image;
  int orientation = 1;  ///< EXIF's, that turns it upright
  double seconds = 0;   ///< from the film's beginning
};

/// Why films can't be read here, with the remedy; empty where they can. Loads the libraries.
std::string why_no_films();

class Video {
 public:
  /// Throws Error{input} where the file can't be read as a film, and where a library is missing: it is named then;
  /// std::bad_alloc.
  Video(const std::filesystem::path& file, const DecodeLimits& limits);
  ~Video();
  Video(const Video&) = delete;
  Video& operator=(const Video&) = delete;

  /// The first frame that is shown at that time or later and hasn't been given before; nothing at the end. Throws
  /// Error{input}, std::bad_alloc.
  std::optional<VideoFrame> next(double seconds);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lfm
