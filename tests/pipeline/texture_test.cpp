// A verdict needs something to look at: pictures and windows whose residual is nearly empty are known for what they
// are.
#include "src/pipeline/texture.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/image/augment.h"
#include "src/pipeline/picture.h"
#include "tests/catch.h"
#include "tests/cli/sample_inputs.h"
#include "tests/image/random_image.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

/// Grey, of f(x, y).
Image drawn(int width, int height, const std::function<int(int, int)>& f) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.rgb.insert(image.rgb.end(), 3, static_cast<std::uint8_t>(f(x, y)));
  }
  return image;
}

Image enlarged_pixel_by_pixel(const Image& image, int factor) {
  Image large{image.width * factor, image.height * factor, {}};
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      const auto* pixel = &image.rgb[3 * (static_cast<std::size_t>(y / factor) * static_cast<std::size_t>(image.width) +
                                          static_cast<std::size_t>(x / factor))];
      large.rgb.insert(large.rgb.end(), pixel, pixel + 3);
    }
  }
  return large;
}

/// Flat, with a few lines and a box at odd places, as a form on a screen.
Image form() {
  return drawn(701, 431, [](int x, int y) {
    const bool line = (y == 101 || y == 303) && x > 50 && x < 600;
    const bool box = x >= 91 && x < 251 && y >= 151 && y < 191;
    return line ? 0 : box ? 90 : 255;
  });
}

std::vector<std::pair<std::string, Image>> empty_pictures() {
  std::mt19937 generator(1);
  return {{"white", drawn(300, 200, [](int, int) { return 255; })},
          {"black", drawn(300, 200, [](int, int) { return 0; })},
          {"two halves", drawn(512, 512, [](int x, int) { return x < 255 ? 40 : 200; })},
          {"slope", drawn(256, 256, [](int, int y) { return y; })},
          {"diagonal slope", drawn(512, 512, [](int x, int y) { return (x + y) / 4; })},
          {"dithered", drawn(300, 300, [&](int, int) { return 128 + static_cast<int>(generator() & 1); })},
          {"enlarged twice", enlarged_pixel_by_pixel(random_image(150, 130, 3), 2)},
          {"enlarged four times", enlarged_pixel_by_pixel(random_image(80, 70, 3), 4)},
          {"form", form()}};
}

TEST_CASE("Texture.CountsTheCellsThatDiffer") {
  Image image = drawn(4, 5, [](int, int) { return 7; });
  CHECK(texture_of(image).any == 0);
  image.rgb[3 * 4 * 4] = 99;  // in the odd last row, which the network does not see
  CHECK(texture_of(image).any == 0);
  image.rgb[3 * 5 + 2] = 8;  // one level, bottom right of the first cell
  CHECK(texture_of(image).any == 0.25);
  CHECK(texture_of(image).strong == 0);
  image.rgb[3 * 2] = 9;  // two levels at the top left of the second: all others differ from it
  CHECK(texture_of(image).any == 0.5);
  CHECK(texture_of(image).strong == 0.25);
}

TEST_CASE("Texture.FlatDrawnAndEnlargedPicturesAreEmpty") {
  for (const auto& [name, image] : empty_pictures()) CHECK_MESSAGE(is_empty(texture_of(image)), name);
}

TEST_CASE("Texture.PhotographsAreNotHoweverTheyAreDelivered") {
  for (const char* name : {"astronaut.png", "chelsea.png", "coffee.png", "coffee-redrawn.png"}) {
    const Image photo = read_image(std::filesystem::path(kSourceFolder) / "samples" / name);
    for (const Image& delivered :
         {photo, recompress_jpeg(photo, 15), recompress_webp(photo, 10), gaussian_blur(photo, 2),
          resize_bilinear(photo, 2 * photo.width, 2 * photo.height)}) {
      const Texture texture = texture_of(delivered);
      CHECK_MESSAGE(!is_empty(texture), name << ' ' << texture.any << ' ' << texture.strong);
    }
  }
}

TEST_CASE("Texture.NoPhotographOfTheSharedSetsIsLost") {
  const std::filesystem::path data = std::filesystem::path(kShared) / "data";
  if (!std::filesystem::exists(data)) SKIP("needs ../shared/data, which is not here");
  std::size_t photographs = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    if (entry.path().parent_path().filename() != "0_real") continue;
    ++photographs;
    const Texture texture = texture_of(read_image(entry.path()));
    // Far from the limits.
    CHECK_MESSAGE((texture.any > 0.2 && texture.strong > 0.1), entry.path()
                                                                   << ' ' << texture.any << ' ' << texture.strong);
  }
  CHECK(photographs > 900u);
}

class DetectorOfEmptyPictures {
 protected:
  DetectorOfEmptyPictures() { write_random_model(folder_ / "model.lfmw", 7); }
  Detection detect(const Image& image, DetectorOptions options = {}) {
    options.device = "cpu";
    return Detector(folder_ / "model.lfmw", options).detect(image);
  }
  TemporaryFolder folder_;
};

TEST_CASE_METHOD(DetectorOfEmptyPictures, "DetectorOfEmptyPictures.IsUnsure") {
  for (const auto& [name, image] : empty_pictures()) {
    for (const bool stable : {false, true}) {
      INFO(name);
      DetectorOptions options;
      options.view = View::tiles;
      options.stable = stable;
      const Detection detection = detect(image, options);
      REQUIRE(detection.scored());
      CHECK(detection.unsure);
      CHECK(detection.doubt == Doubt::no_texture);
      CHECK(detection.empty_windows == detection.windows);
    }
  }
  DetectorOptions options;
  options.view = View::tiles;
  const Detection noisy = detect(random_image(300, 300, 1), options);
  CHECK_FALSE(noisy.unsure);
  CHECK(noisy.doubt == Doubt::none);
  CHECK(noisy.empty_windows == 0);
  CHECK(noisy.windows == 4);
}

TEST_CASE_METHOD(DetectorOfEmptyPictures, "DetectorOfEmptyPictures.WindowsWithoutTextureDontCount") {
  // One window of four has a picture, as in a page or a collage.
  Image page = drawn(512, 512, [](int, int) { return 255; });
  const Image part = random_image(256, 256, 5);
  for (std::size_t y = 0; y < 256; ++y) {
    std::copy_n(part.rgb.begin() + static_cast<std::ptrdiff_t>(y * 768), 768,
                page.rgb.begin() + static_cast<std::ptrdiff_t>((y + 256) * 1536 + 768));
  }
  DetectorOptions options;
  options.view = View::tiles;
  options.features = options.evidence = true;
  const Detection whole = detect(page, options), alone = detect(part, options);
  CHECK(whole.logit == alone.logit);
  CHECK(whole.features == alone.features);
  CHECK_FALSE(whole.unsure);
  CHECK(whole.windows == 4);
  CHECK(whole.empty_windows == 3);
  REQUIRE(whole.evidence.size() == 1u);
  CHECK(whole.evidence[0].x == 256);
  CHECK(whole.evidence[0].y == 256);
  CHECK(whole.evidence[0].contributions == alone.evidence.at(0).contributions);
}

}  // namespace
}  // namespace lfm::test
