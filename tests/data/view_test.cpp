#include "src/data/view.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "lfm/error.h"

namespace lfm {
namespace {

using Square = std::vector<std::uint8_t>;

/// Red tells the column, green the row, of a picture at most 256 wide and high.
Image coordinates(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.rgb.insert(image.rgb.end(), {static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y), 0});
    }
  }
  return image;
}

Square square_for(const ViewOptions& view) {
  const auto side = static_cast<std::size_t>(served_side(view));
  return Square(side * side * 3, 0xEE);
}

Square train(const Image& image, const ViewOptions& view, const RandomAugmentation& augmentation,
             std::uint32_t position) {
  Square square = square_for(view);
  training_view(image, view, augmentation, {42, 0, position}, square.data());
  return square;
}

Square validate_once(const Image& image, const ViewOptions& view) {
  Square square = square_for(view);
  validation_view(image, view, square.data());
  return square;
}

constexpr RandomAugmentation kNothing = {.flip = 0};
constexpr ViewOptions kNative64 = {.view = View::native, .crop = 64};

TEST(View, ValidationCropsTheCentre) {
  const Square square = validate_once(coordinates(101, 80), kNative64);
  EXPECT_EQ(square[0], (101 - 64) / 2);
  EXPECT_EQ(square[1], (80 - 64) / 2);
  EXPECT_EQ(square[square.size() - 3], (101 - 64) / 2 + 63);
}

TEST(View, ValidationResizesWithoutCrop) {
  const ViewOptions view = {.view = View::resize, .resize = 64, .crop = 0};
  const Image image = coordinates(200, 100);
  EXPECT_EQ(validate_once(image, view), resize_bilinear(image, 64, 64).rgb);
}

TEST(View, RandomCropsReachEveryPlace) {
  const Image image = coordinates(67, 66);
  std::set<std::pair<int, int>> corners;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Square square = train(image, kNative64, kNothing, i);
    corners.insert({square[0], square[1]});
    ASSERT_EQ(square[square.size() - 3], square[0] + 63);
    ASSERT_EQ(square[square.size() - 2], square[1] + 63);
  }
  EXPECT_EQ(corners.size(), 4u * 3u);
}

TEST(View, FlipMirrorsColumnsAtItsProbability) {
  const Image image = coordinates(64, 64);
  int flipped = 0;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Square square = train(image, kNative64, {.flip = 0.25f}, i);
    const bool is_flipped = square[0] == 63;
    flipped += is_flipped;
    ASSERT_EQ(square[3], is_flipped ? 62 : 1);
  }
  EXPECT_NEAR(flipped, 100, 40) << "4.6 standard deviations";
}

TEST(View, SmallImagesAreEnlargedToCoverTheCrop) {
  const Image image = coordinates(20, 40);
  const Image enlarged = resize_bilinear(image, 64, 128);
  EXPECT_EQ(validate_once(image, kNative64), crop_center(enlarged, 64, 64).rgb);
  EXPECT_NO_THROW(train(image, kNative64, kNothing, 0));
}

TEST(View, AnOptionLeavesTheOthersDrawsAlone) {
  const Image image = coordinates(256, 256);
  const ViewOptions view = {.view = View::resize, .resize = 256, .crop = 64};
  RandomAugmentation with_jpeg = kNothing;
  with_jpeg.jpeg = 1;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const Square plain = train(image, view, kNothing, i), compressed = train(image, view, with_jpeg, i);
    ASSERT_NE(plain, compressed);
    double difference = 0;  // a smooth gradient survives compression: the same place was cropped
    for (std::size_t p = 0; p < plain.size(); ++p) difference += std::abs(plain[p] - compressed[p]);
    ASSERT_LT(difference / static_cast<double>(plain.size()), 2.5) << "position " << i;
  }
}

TEST(View, RescalingChangesTheSlope) {
  const Image image = coordinates(256, 256);
  RandomAugmentation half = kNothing;
  half.rescale = 1;
  half.rescale_factor = {0.5f, 0.5f};
  const Square square = train(image, kNative64, half, 0);
  EXPECT_NEAR(square[3 * 40] - square[3 * 20], 40, 1) << "20 columns apart, twice the step";
}

TEST(View, EveryAugmentationAtOnceFillsTheSquare) {
  const RandomAugmentation all = {.flip = 1, .blur = 1, .jpeg = 1, .webp = 1, .rescale = 1};
  for (const ViewOptions& view : {kNative64, ViewOptions{.view = View::resize, .resize = 80, .crop = 64}}) {
    for (const auto& [width, height] : {std::pair{30, 31}, {64, 64}, {300, 90}}) {
      for (std::uint32_t i = 0; i < 5; ++i) {
        const Square square = train(coordinates(width, height), view, all, i);
        EXPECT_EQ(square, train(coordinates(width, height), view, all, i));
      }
    }
  }
}

TEST(View, TheOriginalIsTheSameSquareBeforeBlurAndRecompression) {
  const RandomAugmentation touched = {.flip = 0.5f, .blur = 1, .jpeg = 1, .webp = 1, .rescale = 0.5f};
  for (const ViewOptions& view : {kNative64, ViewOptions{.view = View::resize, .resize = 80, .crop = 64}}) {
    for (std::uint32_t i = 0; i < 20; ++i) {
      const Image image = coordinates(150, 140);
      Square square = square_for(view), original = square_for(view);
      training_view(image, view, touched, {42, 0, i}, square.data(), original.data());
      EXPECT_EQ(square, train(image, view, touched, i)) << "asking for the original changes nothing";
      EXPECT_NE(square, original);
      double difference = 0;  // the same place, scale and side
      for (std::size_t p = 0; p < square.size(); ++p) difference += std::abs(square[p] - original[p]);
      EXPECT_LT(difference / static_cast<double>(square.size()), 6);
    }
  }
}

TEST(View, UntouchedImagesAreNeitherBlurredNorRecompressed) {
  const Image image = coordinates(256, 256);
  const ViewOptions view = {.view = View::resize, .resize = 256, .crop = 64};
  RandomAugmentation augmentation = {.flip = 0.5f, .blur = 1, .jpeg = 1, .webp = 1, .untouched = 0.3f};
  int untouched = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    Square square = square_for(view), original = square_for(view);
    training_view(image, view, augmentation, {42, 0, i}, square.data(), original.data());
    untouched += square == original;
  }
  EXPECT_NEAR(untouched, 60, 30) << "4.6 standard deviations";
}

TEST(View, RefusesWhatCannotBe) {
  const RandomAugmentation good;
  EXPECT_NO_THROW(validate({}, good));
  EXPECT_THROW(validate({.view = View::native, .crop = 0}, good), Error);
  EXPECT_THROW(validate({.view = View::resize, .resize = 128, .crop = 224}, good), Error);
  EXPECT_THROW(validate({.view = View::native, .crop = 40}, good), Error);
  EXPECT_THROW(validate({}, {.blur = 1.5f}), Error);
  EXPECT_THROW(validate({}, {.untouched = -0.1f}), Error);
  EXPECT_THROW(validate({}, {.jpeg_quality = {90, 80}}), Error);
  EXPECT_THROW(validate({}, {.rescale_factor = {0, 1}}), Error);
}

}  // namespace
}  // namespace lfm
