// Files with more than one picture, taken apart: the pages of a TIFF and frames of a film, each an input of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "lfm/detector.h"
#include "src/video/video.h"

namespace lfm {

struct MediaOptions {
  bool pages = false;           ///< every page of a TIFF, not the first alone
  std::optional<double> every;  ///< seconds from one frame of a film to the next; nothing: films aren't read
  DecodeLimits limits;
};

/// What another source gives, taken apart. Pages and frames are decoded here, one after the other; other files where
/// they always are. A file that breaks off in the middle gives its first parts, then an input with the error.
class MediaSource : public InputSource {
 public:
  MediaSource(InputSource& inputs, const MediaOptions& options) : inputs_(inputs), options_(options) {}

  std::optional<Input> next() override;
  bool starved() const override { return inputs_.starved(); }
  void cancel() override { inputs_.cancel(); }

 private:
  std::optional<Input> next_part();
  /// Opens what has parts; false for a file that is scored as a whole.
  bool open(const Input& input);

  InputSource& inputs_;
  MediaOptions options_;
  Input file_;  ///< that is being taken apart
  std::unique_ptr<Video> video_;
  std::vector<std::byte> tiff_;
  int page_ = 0, pages_ = 0;
  std::size_t frame_ = 0;  ///< whole intervals that have passed
};

/// "0:01:02.500"
std::string time_text(double seconds);

}  // namespace lfm
