#include "src/data/view.h"

#include <set>
#include <utility>

#include "lfm/error.h"
#include "tests/catch.h"

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

TEST_CASE("View.ValidationCropsTheCentre") {
  const Square square = validate_once(coordinates(101, 80), kNative64);
  CHECK(square[0] == (101 - 64) / 2);
  CHECK(square[1] == (80 - 64) / 2);
  CHECK(square[square.size() - 3] == (101 - 64) / 2 + 63);
}

TEST_CASE("View.ValidationResizesWithoutCrop") {
  const ViewOptions view = {.view = View::resize, .resize = 64, .crop = 0};
  const Image image = coordinates(200, 100);
  CHECK(validate_once(image, view) == resize_bilinear(image, 64, 64).rgb);
}

TEST_CASE("View.RandomCropsReachEveryPlace") {
  const Image image = coordinates(67, 66);
  std::set<std::pair<int, int>> corners;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Square square = train(image, kNative64, kNothing, i);
    corners.insert({square[0], square[1]});
    REQUIRE(square[square.size() - 3] == square[0] + 63);
    REQUIRE(square[square.size() - 2] == square[1] + 63);
  }
  CHECK(corners.size() == 4u * 3u);
}

TEST_CASE("View.FlipMirrorsColumnsAtItsProbability") {
  const Image image = coordinates(64, 64);
  int flipped = 0;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Square square = train(image, kNative64, {.flip = 0.25f}, i);
    const bool is_flipped = square[0] == 63;
    flipped += is_flipped;
    REQUIRE(square[3] == (is_flipped ? 62 : 1));
  }
  CHECK_THAT_MESSAGE(flipped, WithinAbs(100, 40), "4.6 standard deviations");
}

TEST_CASE("View.SmallImagesAreEnlargedToCoverTheCrop") {
  const Image image = coordinates(20, 40);
  const Image enlarged = resize_bilinear(image, 64, 128);
  CHECK(validate_once(image, kNative64) == crop_center(enlarged, 64, 64).rgb);
  CHECK_NOTHROW(train(image, kNative64, kNothing, 0));
}

TEST_CASE("View.AnOptionLeavesTheOthersDrawsAlone") {
  const Image image = coordinates(256, 256);
  const ViewOptions view = {.view = View::resize, .resize = 256, .crop = 64};
  RandomAugmentation with_jpeg = kNothing;
  with_jpeg.jpeg = 1;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const Square plain = train(image, view, kNothing, i), compressed = train(image, view, with_jpeg, i);
    REQUIRE(plain != compressed);
    double difference = 0;  // a smooth gradient survives compression: the same place was cropped
    for (std::size_t p = 0; p < plain.size(); ++p) difference += std::abs(plain[p] - compressed[p]);
    REQUIRE_MESSAGE(difference / static_cast<double>(plain.size()) < 2.5, "position " << i);
  }
}

TEST_CASE("View.RescalingChangesTheSlope") {
  const Image image = coordinates(256, 256);
  RandomAugmentation half = kNothing;
  half.rescale = 1;
  half.rescale_factor = {0.5f, 0.5f};
  const Square square = train(image, kNative64, half, 0);
  CHECK_THAT_MESSAGE(square[3 * 40] - square[3 * 20], WithinAbs(40, 1), "20 columns apart, twice the step");
}

TEST_CASE("View.EveryAugmentationAtOnceFillsTheSquare") {
  const RandomAugmentation all = {.flip = 1, .blur = 1, .jpeg = 1, .webp = 1, .rescale = 1};
  for (const ViewOptions& view : {kNative64, ViewOptions{.view = View::resize, .resize = 80, .crop = 64}}) {
    for (const auto& [width, height] : {std::pair{30, 31}, {64, 64}, {300, 90}}) {
      for (std::uint32_t i = 0; i < 5; ++i) {
        const Square square = train(coordinates(width, height), view, all, i);
        CHECK(square == train(coordinates(width, height), view, all, i));
      }
    }
  }
}

TEST_CASE("View.TheOriginalIsTheSameSquareBeforeBlurAndRecompression") {
  const RandomAugmentation touched = {.flip = 0.5f, .blur = 1, .jpeg = 1, .webp = 1, .rescale = 0.5f};
  for (const ViewOptions& view : {kNative64, ViewOptions{.view = View::resize, .resize = 80, .crop = 64}}) {
    for (std::uint32_t i = 0; i < 20; ++i) {
      const Image image = coordinates(150, 140);
      Square square = square_for(view), original = square_for(view);
      training_view(image, view, touched, {42, 0, i}, square.data(), original.data());
      CHECK_MESSAGE(square == train(image, view, touched, i), "asking for the original changes nothing");
      CHECK(square != original);
      double difference = 0;  // the same place, scale and side
      for (std::size_t p = 0; p < square.size(); ++p) difference += std::abs(square[p] - original[p]);
      CHECK(difference / static_cast<double>(square.size()) < 6);
    }
  }
}

TEST_CASE("View.RotationJitterAndMasksHappenAtTheirProbability") {
  const Image image = coordinates(64, 64);
  const Square plain = train(image, kNative64, kNothing, 0);
  const auto changed = [&](const RandomAugmentation& augmentation) {
    int count = 0;
    for (std::uint32_t i = 0; i < 200; ++i) {
      const Square square = train(image, kNative64, augmentation, i);
      count += square != plain;
      REQUIRE(square == train(image, kNative64, augmentation, i));
    }
    return count;
  };
  RandomAugmentation rotated = kNothing, jittered = kNothing, masked = kNothing;
  rotated.rotate = jittered.jitter = masked.mask = 0.3f;
  masked.mask_share = {0.1f, 1};
  CHECK_THAT_MESSAGE(changed(rotated), WithinAbs(60, 30), "4.6 standard deviations");
  CHECK_THAT_MESSAGE(changed(jittered), WithinAbs(60, 30), "4.6 standard deviations");
  CHECK_THAT_MESSAGE(changed(masked), WithinAbs(60, 30), "4.6 standard deviations");
}

TEST_CASE("View.MasksAreWholePatchesOfTheShareThatIsDrawn") {
  const Image white{64, 64, std::vector<std::uint8_t>(64 * 64 * 3, 255)};
  RandomAugmentation masked = kNothing;
  masked.mask = 1;
  masked.mask_share = {0.25f, 0.25f};
  masked.mask_patch = 16;
  std::set<Square> different;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const Square square = train(white, kNative64, masked, i);
    different.insert(square);
    int patches = 0;
    for (std::size_t patch = 0; patch < 16; ++patch) {
      const auto value = [&](std::size_t p) {
        return square[3 * ((patch / 4 * 16 + p / 16) * 64 + patch % 4 * 16 + p % 16)];
      };
      for (std::size_t p = 1; p < 256; ++p) QUICK_REQUIRE(value(p) == value(0), p);
      patches += value(0) == 0;
    }
    REQUIRE(patches == 4);
  }
  CHECK(different.size() > 15);
}

TEST_CASE("View.TheOriginalIsTurnedButNeitherJitteredNorMasked") {
  const RandomAugmentation touched = {.flip = 0.5f, .rotate = 0.5f, .jitter = 1, .mask = 1, .mask_share = {0.5f, 0.5f}};
  RandomAugmentation turned = touched;
  turned.jitter = turned.mask = 0;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const Image image = coordinates(150, 140);
    Square square = square_for(kNative64), original = square_for(kNative64);
    training_view(image, kNative64, touched, {42, 0, i}, square.data(), original.data());
    CHECK(original == train(image, kNative64, turned, i));
    CHECK(square != original);
  }
}

TEST_CASE("View.UntouchedImagesAreNeitherBlurredNorRecompressed") {
  const Image image = coordinates(256, 256);
  const ViewOptions view = {.view = View::resize, .resize = 256, .crop = 64};
  RandomAugmentation augmentation = {.flip = 0.5f, .blur = 1, .jpeg = 1, .webp = 1, .untouched = 0.3f};
  int untouched = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    Square square = square_for(view), original = square_for(view);
    training_view(image, view, augmentation, {42, 0, i}, square.data(), original.data());
    untouched += square == original;
  }
  CHECK_THAT_MESSAGE(untouched, WithinAbs(60, 30), "4.6 standard deviations");
}

TEST_CASE("View.RefusesWhatCannotBe") {
  const RandomAugmentation good;
  CHECK_NOTHROW(validate({}, good));
  CHECK_THROWS_AS(validate({.view = View::native, .crop = 0}, good), Error);
  CHECK_THROWS_AS(validate({.view = View::resize, .resize = 128, .crop = 224}, good), Error);
  CHECK_THROWS_AS(validate({.view = View::native, .crop = 40}, good), Error);
  CHECK_THROWS_AS(validate({}, {.blur = 1.5f}), Error);
  CHECK_THROWS_AS(validate({}, {.untouched = -0.1f}), Error);
  CHECK_THROWS_AS(validate({}, {.jpeg_quality = {90, 80}}), Error);
  CHECK_THROWS_AS(validate({}, {.rescale_factor = {0, 1}}), Error);
  CHECK_THROWS_AS(validate({}, {.rotate = 2}), Error);
  CHECK_THROWS_AS(validate({}, {.jitter_hue = {-1, 0}}), Error);
  CHECK_THROWS_AS(validate({}, {.mask_share = {0, 1.5f}}), Error);
  CHECK_THROWS_AS(validate({}, {.mask_patch = 0}), Error);
}

}  // namespace
}  // namespace lfm
