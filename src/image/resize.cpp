#include "src/image/resize.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {

ResizeFilter bilinear_filter(int in_size, int out_size) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double half_width = std::max(scale, 1.0);
  const double inverse = 1.0 / half_width;

  ResizeFilter filter;
  filter.first.resize(out_size);
  filter.count.resize(out_size);
  const auto window = [&](int i) {
    // Pillow rounds by adding 0.5 and cutting off, also below 0; then the window is clamped.
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - half_width + 0.5));
    const int end = std::min(in_size, static_cast<int>(center + half_width + 0.5));
    return std::pair(first, end - first);
  };
  for (int i = 0; i < out_size; ++i) {
    std::tie(filter.first[i], filter.count[i]) = window(i);
    filter.max_count = std::max(filter.max_count, filter.count[i]);
  }

  filter.stride = (static_cast<std::size_t>(filter.max_count) + 3) / 4 * 4;
  filter.weights.assign(filter.stride * out_size + 4, 0);
  std::vector<double> weights(filter.max_count);
  for (int i = 0; i < out_size; ++i) {
    const double center = (i + 0.5) * scale;
    double sum = 0;
    for (int t = 0; t < filter.count[i]; ++t) {
      const double distance = std::abs((t + filter.first[i] - center + 0.5) * inverse);
      weights[t] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += weights[t];
    }
    for (int t = 0; t < filter.count[i]; ++t) {
      const double weight = sum != 0.0 ? weights[t] / sum : weights[t];
      filter.weights[i * filter.stride + t] = static_cast<std::int32_t>(0.5 + weight * (1 << kWeightBits));
    }
  }
  return filter;
}

BilinearResizer::BilinearResizer(int in_width, int in_height, int out_width, int out_height, std::uint8_t* out,
                                 const ResizeKernels& kernels)
    : kernels_(kernels),
      resize_width_(in_width != out_width),
      resize_height_(in_height != out_height),
      out_width_(out_width),
      out_height_(out_height),
      out_(out) {
  if (in_width < 1 || in_height < 1 || out_width < 1 || out_height < 1) {
    throw Error(ErrorCode::usage, fmt::format("can't resize {} x {} pixels to {} x {}: every side must be at least 1",
                                              in_width, in_height, out_width, out_height));
  }
  if (resize_width_) horizontal_ = bilinear_filter(in_width, out_width);
  if (resize_height_) vertical_ = bilinear_filter(in_height, out_height);
  height_first_ = resize_width_ && resize_height_ && height_comes_first(in_width, in_height, out_width, out_height);
  ring_rows_ = resize_height_ ? vertical_.max_count : 1;
  ring_row_bytes_ = std::size_t{3} * (height_first_ ? in_width : out_width);
  ring_stride_ = ring_row_bytes_ + kRowPadding;
  ring_.resize(ring_stride_ * ring_rows_);
  window_.resize(ring_rows_);
  vertical_row_.resize(ring_stride_);
  horizontal_row_.resize(std::size_t{3} * out_width + kRowPadding);
}

void BilinearResizer::emit(const std::uint8_t* row) {
  const std::size_t row_bytes = std::size_t{3} * out_width_;
  std::memcpy(out_ + emitted_ * row_bytes, row, row_bytes);
  ++emitted_;
}

void BilinearResizer::push(const std::uint8_t* row) {
  std::uint8_t* slot = &ring_[pushed_ % ring_rows_ * ring_stride_];
  if (resize_width_ && !height_first_) {
    kernels_.horizontal(row, horizontal_, slot);
  } else {
    std::memcpy(slot, row, ring_row_bytes_);
  }
  ++pushed_;
  if (!resize_height_) return emit(slot);

  // Windows move on from one output row to the next, so a row is overwritten only when no window needs it any
  // more.
  while (emitted_ < out_height_ && vertical_.first[emitted_] + vertical_.count[emitted_] <= pushed_) {
    const int first = vertical_.first[emitted_], count = vertical_.count[emitted_];
    for (int t = 0; t < count; ++t) window_[t] = &ring_[(first + t) % ring_rows_ * ring_stride_];
    const std::int32_t* weights = &vertical_.weights[emitted_ * vertical_.stride];
    kernels_.vertical(window_.data(), weights, count, ring_row_bytes_, vertical_row_.data());
    if (height_first_) kernels_.horizontal(vertical_row_.data(), horizontal_, horizontal_row_.data());
    emit(height_first_ ? horizontal_row_.data() : vertical_row_.data());
  }
}

void ResizeSink::start(int width, int height) {
  size_ = {width, height};
  resizer_.emplace(width, height, out_width_, out_height_, out_);
  row_.resize(std::size_t{3} * width + kRowPadding);
}

void ResizeSink::take(Image&& image) {
  size_ = {image.width, image.height};
  resize_bilinear_into(image, out_width_, out_height_, out_);
}

Image resize_bilinear(const Image& image, int width, int height) {
  if (image.width == width && image.height == height) return image;
  Image resized = make_image(std::max(width, 0), std::max(height, 0));
  resize_bilinear_into(image, width, height, resized.rgb.data());
  return resized;
}

void resize_bilinear_into(const Image& image, int width, int height, std::uint8_t* out) {
  if (image.width == width && image.height == height) {
    std::ranges::copy(image.rgb, out);
    return;
  }
  BilinearResizer resizer(image.width, image.height, width, height, out);
  const std::size_t row_bytes = std::size_t{3} * image.width;
  std::vector<std::uint8_t> padded(row_bytes + kRowPadding);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = &image.rgb[y * row_bytes];
    if ((y + 1) * row_bytes + kRowPadding > image.rgb.size()) {  // too near the end to be read past
      std::memcpy(padded.data(), row, row_bytes);
      row = padded.data();
    }
    resizer.push(row);
  }
}

}  // namespace lfm
