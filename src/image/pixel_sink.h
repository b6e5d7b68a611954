// Where a decoder puts its rows: into an Image, or straight into the resizer.
#pragma once

#include <cstdint>

namespace lfm {

class PixelSink {
 public:
  virtual ~PixelSink() = default;

  /// Called once, before any row, with the size of the picture (already checked against the limits).
  virtual void start(int width, int height) = 0;

  /// Where the next row's width*3 bytes belong; good until row_done().
  virtual std::uint8_t* row() = 0;

  /// The row is written. Rows come from top to bottom, height of them.
  virtual void row_done() = 0;
};

}  // namespace lfm
