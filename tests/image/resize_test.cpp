// The resize equals a naive implementation of Pillow's algorithm on every vector target of this machine.
#include "src/image/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "lfm/error.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"

namespace lfm {
namespace {

/// Written from the definition, one sample at a time: whole-image passes, no windows kept, weights where they
/// are needed. sample(i) is the source along the axis; returns output sample `at`.
template <typename Sample>
std::uint8_t naive_sample(int in_size, int out_size, int at, const Sample& sample) {
  const double scale = double(in_size) / out_size;
  const double support = scale < 1.0 ? 1.0 : scale;
  const double center = (at + 0.5) * scale;
  int first = int(center - support + 0.5), end = int(center + support + 0.5);
  if (first < 0) first = 0;
  if (end > in_size) end = in_size;
  double sum = 0;
  const auto triangle = [&](int i) {
    const double x = std::fabs((i - center + 0.5) * (1.0 / support));
    return x < 1.0 ? 1.0 - x : 0.0;
  };
  for (int i = first; i < end; ++i) sum += triangle(i);
  long total = 1L << 21;
  for (int i = first; i < end; ++i) total += sample(i) * long(0.5 + triangle(i) / sum * (1 << 22));
  return std::uint8_t(std::clamp(total >> 22, 0L, 255L));
}

Image naive_width(const Image& in, int width) {
  if (width == in.width) return in;
  Image out{width, in.height, std::vector<std::uint8_t>(std::size_t{3} * width * in.height)};
  for (int y = 0; y < in.height; ++y) {
    for (int x = 0; x < width * 3; ++x) {
      out.rgb[std::size_t{3} * y * width + x] = naive_sample(
          in.width, width, x / 3, [&](int i) { return long(in.rgb[(std::size_t(y) * in.width + i) * 3 + x % 3]); });
    }
  }
  return out;
}

Image naive_height(const Image& in, int height) {
  if (height == in.height) return in;
  Image out{in.width, height, std::vector<std::uint8_t>(std::size_t{3} * in.width * height)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < in.width * 3; ++x) {
      out.rgb[std::size_t{3} * y * in.width + x] =
          naive_sample(in.height, height, y, [&](int i) { return long(in.rgb[std::size_t{3} * i * in.width + x]); });
    }
  }
  return out;
}

Image naive_resize(const Image& in, int width, int height) {
  const int less_width = in.width - width, less_height = in.height - height;
  const bool height_first = less_height > 0 && less_height > 2 * less_width;
  return height_first ? naive_width(naive_height(in, height), width) : naive_height(naive_width(in, width), height);
}

Image resize_with(const ResizeKernels& kernels, const Image& in, int width, int height) {
  Image out = make_image(width, height);
  BilinearResizer resizer(in.width, in.height, width, height, out.rgb.data(), kernels);
  for (int y = 0; y < in.height; ++y) {
    const auto first = in.rgb.begin() + std::ptrdiff_t{3} * y * in.width;
    std::vector<std::uint8_t> row(first, first + std::ptrdiff_t{3} * in.width);
    row.insert(row.end(), kRowPadding, 0xff);  // what the padding holds must not matter
    resizer.push(row.data());
  }
  return out;
}

struct Size {
  int in_width, in_height, out_width, out_height;
};

std::vector<Size> sizes() {
  std::vector<Size> sizes = {{1, 1, 1, 1},
                             {1, 1, 256, 256},
                             {1, 7, 5, 3},
                             {7, 1, 3, 5},
                             {2, 2, 1, 1},
                             {3, 2, 256, 256},
                             {255, 257, 256, 256},
                             {256, 100, 256, 33},
                             {100, 256, 33, 256},
                             {256, 256, 256, 256},
                             {512, 512, 256, 256},
                             {500, 375, 256, 256},
                             {5000, 2, 3, 9},
                             {2, 3000, 9, 4},
                             {1000, 3, 1, 1},
                             {37, 41, 1, 200},
                             {64, 64, 63, 65},
                             {1023, 17, 31, 16},
                             // on both sides of where the order of the axes changes
                             {50, 60, 40, 40},
                             {50, 61, 40, 40},
                             {50, 59, 40, 40},
                             {40, 41, 40, 40},
                             {30, 41, 40, 40},
                             {30, 40, 40, 40}};
  std::mt19937_64 generator(7);
  const auto draw = [&] { return int(1 + generator() % (generator() % 3 == 0 ? 400 : 40)); };
  for (int i = 0; i < 150; ++i) sizes.push_back({draw(), draw(), draw(), draw()});
  return sizes;
}

void expect_naive(const ResizeKernels& kernels) {
  std::uint64_t seed = 1;
  for (const Size& s : sizes()) {
    const Image in = random_image(s.in_width, s.in_height, ++seed);
    REQUIRE_MESSAGE(
        resize_with(kernels, in, s.out_width, s.out_height).rgb == naive_resize(in, s.out_width, s.out_height).rgb,
        s.in_width << " x " << s.in_height << " to " << s.out_width << " x " << s.out_height << ", seed " << seed);
  }
}

TEST_CASE("Resize.EveryKernelEqualsTheDefinition") {
  const std::vector<ResizeKernels> all = all_resize_kernels();
  for (const ResizeKernels& kernels : all) {
    INFO(fmt::format("kernel {} of {}", &kernels - all.data(), all.size()));
    expect_naive(kernels);
  }
}

TEST_CASE("Resize.WholeImageEqualsTheDefinition") {
  std::uint64_t seed = 1000;
  for (const Size& s : sizes()) {
    const Image in = random_image(s.in_width, s.in_height, ++seed);
    const Image out = resize_bilinear(in, s.out_width, s.out_height);
    REQUIRE(out.width == s.out_width);
    REQUIRE(out.height == s.out_height);
    REQUIRE_MESSAGE(out.rgb == naive_resize(in, s.out_width, s.out_height).rgb, "seed " << seed);
  }
}

TEST_CASE("Resize.FlatPicturesStayFlat") {
  for (const int level : {0, 1, 254, 255}) {
    const Image in{3001, 2, std::vector<std::uint8_t>(3001 * 2 * 3, static_cast<std::uint8_t>(level))};
    for (const int size : {1, 17, 4000}) {
      const Image out = resize_bilinear(in, size, size);
      CHECK_MESSAGE(std::all_of(out.rgb.begin(), out.rgb.end(), [&](int v) { return v == level; }),
                    level << " " << size);
    }
  }
}

TEST_CASE("Resize.ImpossibleSizesAreRefused") {
  const Image image = random_image(4, 4, 1);
  CHECK_THROWS_AS(resize_bilinear(image, 0, 4), Error);
  CHECK_THROWS_AS(resize_bilinear(image, 4, -1), Error);
  CHECK_THROWS_AS(resize_bilinear(Image{}, 4, 4), Error);
}

}  // namespace
}  // namespace lfm
