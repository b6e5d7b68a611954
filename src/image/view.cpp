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
    for (int c = 0; c < columns; ++c) windows.push_back({offset(c, columns, width - w), offset(r, rows, height - h), w, h});
  }
  return windows;
}

std::vector<Window> view_windows(int width, int height, View view, int most_tiles) {
  if (view == View::tiles) return tile_windows(width, height, most_tiles);
  if (view != View::center) return {{0, 0, width, height}};
  const int w = std::min(width, kViewSide), h = std::min(height, kViewSide);
  return {{(width - w) / 2, (height - h) / 2, w, h}};
}

std::vector<Image> apply_view(Image image, View view, int most_tiles) {
  std::vector<Image> images;
  switch (view) {
    case View::resize:
      images.push_back(resize_bilinear(image, kViewSide, kViewSide));
      break;
    case View::center:
      images.push_back(crop_center(image, kViewSide, kViewSide));
      break;
    case View::native:
      images.push_back(std::move(image));
      break;
    case View::tiles:
      for (const Window& w : tile_windows(image.width, image.height, most_tiles)) {
        images.push_back(crop(image, w.x, w.y, w.width, w.height));
      }
      break;
  }
  return images;
}

FileView read_view(const std::filesystem::path& path, View view, const DecodeLimits& limits, int most_tiles) {
  FileView seen;
  if (view == View::resize) {
    ResizedImage resized = read_image_resized(path, kViewSide, kViewSide, limits);
    seen.width = resized.source_width;
    seen.height = resized.source_height;
    seen.images.push_back(std::move(resized.image));
    return seen;
  }
  Image image = read_image(path, limits);
  seen.width = image.width;
  seen.height = image.height;
  seen.images = apply_view(std::move(image), view, most_tiles);
  return seen;
}

}  // namespace lfm
