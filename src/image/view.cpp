#include "src/image/view.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {

Image crop(const Image& image, int x, int y, int width, int height) {
  if (x < 0 || y < 0 || width < 0 || height < 0 || width > image.width - x || height > image.height - y) {
    throw Error(ErrorCode::usage,
                fmt::format("the window of {} x {} pixels at ({}, {}) isn't inside the image of {} x {}",
                            width, height, x, y, image.width, image.height));
  }
  Image window = make_image(width, height);
  const std::size_t row_bytes = std::size_t{3} * width;
  for (int row = 0; row < height && row_bytes != 0; ++row) {
    const std::size_t first = (static_cast<std::size_t>(y + row) * image.width + x) * 3;
    std::memcpy(&window.rgb[row * row_bytes], &image.rgb[first], row_bytes);
  }
  return window;
}

Image crop_center(const Image& image, int width, int height) {
  const int w = std::clamp(width, 0, image.width), h = std::clamp(height, 0, image.height);
  return crop(image, (image.width - w) / 2, (image.height - h) / 2, w, h);
}

Image apply_view(const Image& image, View view) {
  switch (view) {
    case View::resize:
      return resize_bilinear(image, kViewSide, kViewSide);
    case View::center:
      return crop_center(image, kViewSide, kViewSide);
    case View::native:
      break;
  }
  return image;
}

ResizedImage read_view(const std::filesystem::path& path, View view, const DecodeLimits& limits) {
  if (view == View::resize) return read_image_resized(path, kViewSide, kViewSide, limits);
  Image image = read_image(path, limits);
  const int width = image.width, height = image.height;
  return {view == View::native ? std::move(image) : apply_view(image, view), width, height};
}

}  // namespace lfm
