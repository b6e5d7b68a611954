#include "src/image/view.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "lfm/error.h"
#include "src/image/decoders.h"

namespace lfm {
namespace {

void copy_window(const Image& image, const Window& window, std::uint8_t* to) {
  const std::size_t row_bytes = std::size_t{3} * window.width;
  for (int row = 0; row < window.height && row_bytes != 0; ++row) {
    const std::size_t first = (static_cast<std::size_t>(window.y + row) * image.width + window.x) * 3;
    std::memcpy(to + row * row_bytes, &image.rgb[first], row_bytes);
  }
}

/// Of this size, uninitialised in the source's memory, or of its own.
ViewImage make_view_image(int width, int height, PixelSource* source) {
  ViewImage made{{width, height, {}}, {nullptr, {source}}};
  if (source != nullptr) made.block.reset(source->take(made.bytes()));
  if (!made.block) made.image = make_image(width, height);
  return made;
}

std::uint8_t* pixels_of(ViewImage& image) { return image.block ? image.block.get() : image.image.rgb.data(); }

}  // namespace

Image crop(const Image& image, int x, int y, int width, int height) {
  if (x < 0 || y < 0 || width < 0 || height < 0 || width > image.width - x || height > image.height - y) {
    throw Error(ErrorCode::usage,
                fmt::format("the window of {} x {} pixels at ({}, {}) isn't inside the image of {} x {}", width, height,
                            x, y, image.width, image.height));
  }
  Image window = make_image(width, height);
  copy_window(image, {x, y, width, height}, window.rgb.data());
  return window;
}

Image crop_center(const Image& image, int width, int height) {
  const int w = std::clamp(width, 0, image.width), h = std::clamp(height, 0, image.height);
  return crop(image, (image.width - w) / 2, (image.height - h) / 2, w, h);
}

std::vector<Window> tile_windows(int width, int height, int most) {
  const auto covering = [](int side) { return std::max(1, (side - side % 2 + kViewSide - 1) / kViewSide); };
  const int all_columns = covering(width), all_rows = covering(height);
  // The grid of the most tiles; of equals, the one whose tiles lie most alike across and down.
  int columns = 1, rows = 1;
  double best_skew = 0;
  for (int c = 1; c <= std::min(all_columns, most); ++c) {
    const int r = std::min(all_rows, most / c);
    const double skew = std::abs(std::log(static_cast<double>(all_columns) / c * r / all_rows));
    if (c * r < columns * rows || (c * r == columns * rows && c > 1 && skew >= best_skew)) continue;
    columns = c;
    rows = r;
    best_skew = skew;
  }
  const int w = std::min(width, kViewSide), h = std::min(height, kViewSide);
  const auto offset = [](int index, int count, int room) {
    return (count == 1 ? room / 2 : static_cast<int>(std::int64_t{index} * room / (count - 1))) & ~1;
  };
  std::vector<Window> windows;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c)
      windows.push_back({offset(c, columns, width - w), offset(r, rows, height - h), w, h});
  }
  return windows;
}

std::vector<Window> view_windows(int width, int height, View view, int most_tiles) {
  const int w = std::min(width, kViewSide), h = std::min(height, kViewSide);
  switch (view) {  // without a default: the compiler refuses a view that has no windows
    case View::resize:
    case View::native: return {{0, 0, width, height}};
    case View::center: return {{(width - w) / 2, (height - h) / 2, w, h}};
    case View::tiles: return tile_windows(width, height, most_tiles);
  }
  throw Error(ErrorCode::usage, "there is no such view");
}

std::vector<ViewImage> apply_view(Image image, View view, int most_tiles, PixelSource* source) {
  std::vector<ViewImage> images;
  if (view == View::native) {
    images.push_back({std::move(image), {nullptr, {source}}});
    ViewImage& whole = images[0];
    if (source != nullptr) whole.block.reset(source->take(whole.bytes()));
    if (whole.block) std::ranges::copy(std::exchange(whole.image.rgb, {}), whole.block.get());
  } else if (view == View::resize) {
    images.push_back(make_view_image(kViewSide, kViewSide, source));
    resize_bilinear_into(image, kViewSide, kViewSide, pixels_of(images[0]));
  } else {
    for (const Window& window : view_windows(image.width, image.height, view, most_tiles)) {
      copy_window(image, window, pixels_of(images.emplace_back(make_view_image(window.width, window.height, source))));
    }
  }
  return images;
}

FileView decode_view(Bytes file, View view, const DecodeLimits& limits, int most_tiles, PixelSource* source) {
  FileView seen;
  if (view == View::resize) {
    seen.images.push_back(make_view_image(kViewSide, kViewSide, source));
    const SourceSize size = decode_image_resized_into(file, kViewSide, kViewSide, limits, pixels_of(seen.images[0]));
    seen.width = size.width;
    seen.height = size.height;
    return seen;
  }
  Image image = decode_image(file, limits);
  seen.width = image.width;
  seen.height = image.height;
  seen.images = apply_view(std::move(image), view, most_tiles, source);
  return seen;
}

}  // namespace lfm
