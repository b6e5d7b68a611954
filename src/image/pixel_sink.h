// Where a decoder puts its pixels: into an Image, or straight into the resizer.
#pragma once

#include <cstdint>

#include "lfm/image.h"

namespace lfm {

class PixelSink {
 public:
  virtual ~PixelSink() = default;

  /// The whole picture at once, of a decoder that can't give its rows in order. Called instead of all below.
  virtual void take(Image&& image) = 0;

  /// Called once, before any row, with the size of the picture (already checked against the limits).
  virtual void start(int width, int height) = 0;

  /// Where the next row's width*3 bytes belong; good until row_done().
  virtual std::uint8_t* row() = 0;

  /// The row is written. Rows come from top to bottom, height of them.
  virtual void row_done() = 0;
};

}  // namespace lfm
