// Pillow's bilinear resize as a stream of rows: the decoder pushes source rows, finished rows of the result
// fall out.
//
// Pillow (src/libImaging/Resample.c) works on one axis, rounds to 8 bits, then on the other, and rounds
// again, so the order shows in the result: see height_comes_first. Output pixel i looks at the source around
// its centre c = (i + 0.5)*scale, where the triangle filter of half-width max(1, scale) is positive; weights
// are computed in double, normalised to sum 1, and rounded to multiples of 2^-22.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/image/decoders.h"
#include "src/image/resize_kernels.h"

namespace lfm {

/// The filter along one axis, from in_size to out_size samples.
ResizeFilter bilinear_filter(int in_size, int out_size);

/// Pillow 13's order of the axes: the height first where it shrinks, and by more than twice the pixels that
/// the width does. (Pillow up to 12 always took the width first; wide pictures come out the same.)
constexpr bool height_comes_first(int in_width, int in_height, int out_width, int out_height) {
  return in_height > out_height && in_height - out_height > 2 * (std::int64_t{in_width} - out_width);
}

class BilinearResizer {
 public:
  /// Sizes in pixels, all at least 1 (else Error{usage}). out: where the result's out_height rows of out_width*3 bytes
  /// belong.
  BilinearResizer(int in_width, int in_height, int out_width, int out_height, std::uint8_t* out,
                  const ResizeKernels& kernels = fast_resize_kernels());

  /// The next source row: in_width*3 bytes, followed by kRowPadding bytes that may be read but don't matter. The result
  /// is there after all in_height rows.
  void push(const std::uint8_t* row);

 private:
  void emit(const std::uint8_t* row);

  ResizeKernels kernels_;
  bool resize_width_, resize_height_, height_first_;
  ResizeFilter horizontal_, vertical_;
  int out_width_, out_height_;
  std::uint8_t* out_;
  int pushed_ = 0, emitted_ = 0;  // rows
  int ring_rows_ = 0;             // the vertical filter's longest window
  std::size_t ring_row_bytes_ = 0, ring_stride_ = 0;
  std::vector<std::uint8_t>
      ring_;  // the last ring_rows_ rows as the vertical pass wants them; row y in slot y % ring_rows_
  std::vector<const std::uint8_t*> window_;
  std::vector<std::uint8_t> vertical_row_,
      horizontal_row_;  // results of a pass, padded as the kernels need it
};

/// A decoder's rows, resized as they come, or its picture.
class ResizeSink final : public PixelSink {
 public:
  /// out: of out_height rows of out_width*3 bytes, all there once the decoder has returned.
  ResizeSink(int out_width, int out_height, std::uint8_t* out)
      : out_width_(out_width), out_height_(out_height), out_(out) {}
  void take(Image&& image) override;
  void start(int width, int height) override;
  std::uint8_t* row() override { return row_.data(); }
  void row_done() override { resizer_->push(row_.data()); }
  SourceSize size() const { return size_; }

 private:
  int out_width_, out_height_;
  std::uint8_t* out_;
  SourceSize size_;
  std::vector<std::uint8_t> row_;
  std::optional<BilinearResizer> resizer_;
};

}  // namespace lfm
