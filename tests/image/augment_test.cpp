#include "src/image/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lfm/error.h"
#include "src/image/encode.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"

namespace lfm {
namespace {

double mean_difference(const Image& a, const Image& b) {
  CHECK(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

TEST_CASE("Augment.DefaultsChangeNothing") {
  const Image image = random_image(33, 21, 1);
  CHECK(augment(image, {}).rgb == image.rgb);
}

TEST_CASE("Augment.FlipExchangesLeftAndRight") {
  const Image image = random_image(5, 3, 2), flipped = flip_horizontal(image);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 5; ++x) {
      for (int c = 0; c < 3; ++c) CHECK(flipped.rgb[(y * 5 + x) * 3 + c] == image.rgb[(y * 5 + 4 - x) * 3 + c]);
    }
  }
}

/// The two-dimensional definition in double: every weight a product, every mirrored index found by walking.
int blurred_sample(const Image& image, int x, int y, int c, double sigma) {
  const int radius = int(4 * sigma + 0.5);
  const auto walk = [](int i, int size) {
    while (i < 0 || i >= size) i = i < 0 ? -1 - i : 2 * size - 1 - i;
    return i;
  };
  double sum = 0, weights = 0;
  for (int dy = -radius; dy <= radius; ++dy) {
    for (int dx = -radius; dx <= radius; ++dx) {
      const double weight = std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
      weights += weight;
      sum += weight *
             image.rgb[(std::size_t(walk(y + dy, image.height)) * image.width + walk(x + dx, image.width)) * 3 + c];
    }
  }
  return int(std::floor(sum / weights + 0.5));
}

TEST_CASE("Augment.BlurEqualsItsDefinition") {
  int differing = 0, samples = 0;
  for (const auto& [width, height] : {std::pair{17, 13}, {1, 9}, {3, 2}}) {
    const Image image = random_image(width, height, 3);
    for (const double sigma : {0.4, 1.0, 2.5}) {
      const Image blurred = gaussian_blur(image, sigma);
      for (int i = 0; i < width * height * 3; ++i) {
        const int expected = blurred_sample(image, i / 3 % width, i / 3 / width, i % 3, sigma);
        QUICK_REQUIRE(std::abs(blurred.rgb[i] - expected) <= 1, i);
        differing += blurred.rgb[i] != expected;
        ++samples;
      }
    }
  }
  CHECK_MESSAGE(differing <= samples / 500, "of " << samples << ": only float's rounding may decide a tie differently");
}

TEST_CASE("Augment.BlurOfZeroAndOfFlatPictures") {
  const Image image = random_image(8, 8, 4);
  CHECK(gaussian_blur(image, 0).rgb == image.rgb);
  const Image white{5, 4, std::vector<std::uint8_t>(60, 255)};
  CHECK(gaussian_blur(white, 3).rgb == white.rgb);
}

TEST_CASE("Augment.RecompressionLosesMoreAtLowerQuality") {
  const Image image = smooth_image(160, 120);
  for (const auto recompress : {recompress_jpeg, recompress_webp}) {
    const double high = mean_difference(image, recompress(image, 95)),
                 low = mean_difference(image, recompress(image, 20));
    CHECK(high > 0);
    CHECK(high < 4);
    CHECK(low > high);
    CHECK(low < 25);
    CHECK(recompress(image, 50).rgb == recompress(image, 50).rgb);
  }
}

TEST_CASE("Augment.RescaleRoundsSidesAndResizes") {
  const Image image = random_image(50, 30, 6), scaled = rescale(image, 0.75);
  CHECK(scaled.width == 38);   // 37.5
  CHECK(scaled.height == 23);  // 22.5
  CHECK(scaled.rgb == resize_bilinear(image, 38, 23).rgb);
  CHECK(rescale(image, 0.001).width == 1);
}

TEST_CASE("Augment.NoiseHasItsMomentsAndItsSeed") {
  const Image gray{400, 300, std::vector<std::uint8_t>(400 * 300 * 3, 128)};
  const Image noisy = add_gaussian_noise(gray, 6, 42);
  double mean = 0, square = 0;
  for (const int value : noisy.rgb) mean += value - 128, square += (value - 128) * (value - 128);
  const double n = static_cast<double>(noisy.rgb.size());
  mean /= n;
  CHECK_THAT(mean, WithinAbs(0, 5 * 6 / std::sqrt(n)));
  CHECK_THAT(std::sqrt(square / n - mean * mean), WithinAbs(std::sqrt(36 + 1.0 / 12), 0.05));  // rounding adds 1/12
  CHECK(noisy.rgb == add_gaussian_noise(gray, 6, 42).rgb);
  CHECK(noisy.rgb != add_gaussian_noise(gray, 6, 43).rgb);
  CHECK(gray.rgb == add_gaussian_noise(gray, 0, 42).rgb);
}

TEST_CASE("Augment.RotationByQuartersMovesPixelsAlone") {
  const Image image = random_image(9, 9, 10);
  const auto pixel = [](const Image& from, int x, int y) {
    const auto* p = &from.rgb[3 * static_cast<std::size_t>(y * from.width + x)];
    return std::array<int, 3>{p[0], p[1], p[2]};
  };
  const Image left = rotate(image, 90), right = rotate(image, -90), back = rotate(rotate(image, 180), 180);
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 9; ++x) {
      REQUIRE(pixel(left, x, y) == pixel(image, 8 - y, x));  // counter-clockwise: the right side goes up
      REQUIRE(pixel(right, x, y) == pixel(image, y, 8 - x));
    }
  }
  CHECK(back.rgb == image.rgb);
  CHECK(rotate(image, 0).rgb == image.rgb);
}

TEST_CASE("Augment.RotationMakesUpNoValueAndLeavesCornersBlack") {
  const Image white{40, 30, std::vector<std::uint8_t>(40 * 30 * 3, 255)};
  const Image turned = rotate(white, 45);
  CHECK((turned.width == 40 && turned.height == 30));
  CHECK(turned.rgb.front() == 0);
  CHECK(turned.rgb[3 * (15 * 40 + 20)] == 255);
  CHECK(std::ranges::all_of(turned.rgb, [](int value) { return value == 0 || value == 255; }));
}

TEST_CASE("Augment.ColourJitterDoesWhatItsFactorsSay") {
  const Image image = random_image(21, 17, 11);
  CHECK(jitter_colours(image, {}).rgb == image.rgb);
  const Image brighter = jitter_colours({1, 1, {100, 60, 20}}, {.brightness = 1.5});
  CHECK(brighter.rgb == std::vector<std::uint8_t>{150, 90, 30});
  const Image flat = jitter_colours({2, 1, {100, 100, 100, 200, 200, 200}}, {.contrast = 0.5});
  CHECK(flat.rgb == std::vector<std::uint8_t>{125, 125, 125, 175, 175, 175});
  for (const double hue : {0.0, 0.3}) {
    const Image grey = jitter_colours(image, {.saturation = 0, .hue = hue});
    for (std::size_t i = 0; i < grey.rgb.size(); i += 3) {
      const double luma = 0.299 * image.rgb[i] + 0.587 * image.rgb[i + 1] + 0.114 * image.rgb[i + 2];
      for (std::size_t c = 0; c < 3; ++c) REQUIRE_THAT(grey.rgb[i + c], WithinAbs(luma, 0.51));
    }
  }
  const Image soft{1, 1, {120, 100, 110}};  // no turn of its hue leaves the range
  Image turned = soft;
  for (int i = 0; i < 4; ++i) turned = jitter_colours(turned, {.hue = 0.25});
  for (std::size_t c = 0; c < 3; ++c) CHECK_THAT(turned.rgb[c], WithinAbs(soft.rgb[c], 3));
  CHECK(jitter_colours(soft, {.hue = 0.5}).rgb != soft.rgb);
}

TEST_CASE("Augment.BlackenedSquaresEndAtThePicturesBorder") {
  Image image{5, 4, std::vector<std::uint8_t>(60, 9)};
  blacken(image, 3, 2, 16);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 5; ++x) CHECK(image.rgb[3 * static_cast<std::size_t>(y * 5 + x)] == (x >= 3 && y >= 2 ? 0 : 9));
  }
}

TEST_CASE("Augment.StepsComeInTheStatedOrder") {
  const Image image = smooth_image(120, 100);
  const Augmentation a{.scale = 0.8,
                       .blur_sigma = 0.7,
                       .jpeg_quality = 70,
                       .webp_quality = 60,
                       .noise_sigma = 3,
                       .noise_seed = 9,
                       .crop_x = 5,
                       .crop_y = 6,
                       .crop_width = 64,
                       .crop_height = 48,
                       .flip = true};
  Image expected = gaussian_blur(rescale(image, 0.8), 0.7);
  expected = add_gaussian_noise(recompress_webp(recompress_jpeg(expected, 70), 60), 3, 9);
  CHECK(augment(image, a).rgb == flip_horizontal(crop(expected, 5, 6, 64, 48)).rgb);
}

TEST_CASE("Augment.ParametersOutOfRangeAreRefused") {
  const Image image = random_image(8, 8, 8);
  CHECK_THROWS_AS(gaussian_blur(image, -1), Error);
  CHECK_THROWS_AS(gaussian_blur(image, std::nan("")), Error);
  CHECK_THROWS_AS(rescale(image, 0), Error);
  CHECK_THROWS_AS(rescale(image, 1e6), Error);
  CHECK_THROWS_AS(recompress_jpeg(image, 0), Error);
  CHECK_THROWS_AS(recompress_webp(image, 101), Error);
  CHECK_THROWS_AS(add_gaussian_noise(image, -2, 1), Error);
  CHECK_THROWS_AS(augment(image, {.crop_x = 4, .crop_width = 5, .crop_height = 8}), Error);
}

TEST_CASE("Encode.PngIsLossless") {
  const Image image = random_image(37, 11, 9), decoded = decode_image(encode_png(image));
  CHECK(decoded.width == 37);
  CHECK(decoded.rgb == image.rgb);
}

TEST_CASE("Encode.SizesThatAFormatCannotHoldAreRefused") {
  const Image wide{70'000, 1, std::vector<std::uint8_t>(210'000)};
  CHECK_THROWS_AS(encode_jpeg(wide, 90), Error);
  CHECK_THROWS_AS(encode_webp(wide, 90), Error);
  CHECK(decode_image(encode_png(wide)).width == 70'000);
  CHECK_THROWS_AS(encode_png({}), Error);
}

}  // namespace
}  // namespace lfm
