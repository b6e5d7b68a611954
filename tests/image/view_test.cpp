#include "src/image/view.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "lfm/error.h"
#include "tests/image/random_image.h"

namespace lfm {
namespace {

/// An image whose pixels tell where they were: red = x, green = y.
Image coordinates(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.rgb.insert(image.rgb.end(), {std::uint8_t(x), std::uint8_t(y), 0});
  }
  return image;
}

TEST(View, CropTakesTheWindow) {
  const Image window = crop(coordinates(9, 7), 2, 3, 4, 2);
  ASSERT_EQ(window.width, 4);
  ASSERT_EQ(window.height, 2);
  for (int y = 0; y < 2; ++y) {
    for (int x = 0; x < 4; ++x) {
      EXPECT_EQ(window.rgb[(y * 4 + x) * 3], x + 2);
      EXPECT_EQ(window.rgb[(y * 4 + x) * 3 + 1], y + 3);
    }
  }
  EXPECT_THROW(crop(window, 1, 0, 4, 2), Error);
  EXPECT_THROW(crop(window, 0, -1, 4, 2), Error);
  EXPECT_THROW(crop(window, 2147483647, 0, 1, 1), Error);
}

TEST(View, CenterLeavesTheOddPixelRightAndBelow) {
  const Image window = crop_center(coordinates(7, 8), 4, 3);
  EXPECT_EQ(window.rgb[0], 1);  // margins 1 | 2
  EXPECT_EQ(window.rgb[1], 2);  // margins 2 | 3
}

TEST(View, CenterIsClampedToTheImage) {
  const Image image = coordinates(300, 10);
  const Image window = apply_view(image, View::center);
  EXPECT_EQ(window.width, 256);
  EXPECT_EQ(window.height, 10);
  EXPECT_EQ(window.rgb[0], 22);
}

TEST(View, ResizeAndNative) {
  const Image image = random_image(300, 200, 5);
  EXPECT_EQ(apply_view(image, View::resize).rgb, resize_bilinear(image, 256, 256).rgb);
  EXPECT_EQ(apply_view(image, View::native).rgb, image.rgb);
}

TEST(View, OfAFileEqualsThatOfItsImage) {
  const auto folder = std::filesystem::path(LFM_TEST_FIXTURES) / "images";
  for (const auto* name : {"rgb_420.jpg", "rgb.png", "interlaced.png", "lossy.webp"}) {
    const Image image = read_image(folder / name);
    for (const View view : {View::resize, View::native, View::center}) {
      const ResizedImage viewed = read_view(folder / name, view);
      EXPECT_EQ(viewed.image.rgb, apply_view(image, view).rgb) << name;
      EXPECT_EQ(viewed.source_width, image.width);
      EXPECT_EQ(viewed.source_height, image.height);
    }
  }
}

}  // namespace
}  // namespace lfm
