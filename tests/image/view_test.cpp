#include "src/image/view.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <random>
#include <set>

#include "lfm/error.h"
#include "src/image/file.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"
#include "tests/paths.h"

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

TEST_CASE("View.CropTakesTheWindow") {
  const Image window = crop(coordinates(9, 7), 2, 3, 4, 2);
  REQUIRE(window.width == 4);
  REQUIRE(window.height == 2);
  for (int y = 0; y < 2; ++y) {
    for (int x = 0; x < 4; ++x) {
      CHECK(window.rgb[(y * 4 + x) * 3] == x + 2);
      CHECK(window.rgb[(y * 4 + x) * 3 + 1] == y + 3);
    }
  }
  CHECK_THROWS_AS(crop(window, 1, 0, 4, 2), Error);
  CHECK_THROWS_AS(crop(window, 0, -1, 4, 2), Error);
  CHECK_THROWS_AS(crop(window, 2147483647, 0, 1, 1), Error);
}

TEST_CASE("View.CenterLeavesTheOddPixelRightAndBelow") {
  const Image window = crop_center(coordinates(7, 8), 4, 3);
  CHECK(window.rgb[0] == 1);  // margins 1 | 2
  CHECK(window.rgb[1] == 2);  // margins 2 | 3
}

TEST_CASE("View.CenterIsClampedToTheImage") {
  const Image image = coordinates(300, 10);
  const Image window = std::move(apply_view(image, View::center).at(0).image);
  CHECK(window.width == 256);
  CHECK(window.height == 10);
  CHECK(window.rgb[0] == 22);
}

TEST_CASE("View.ResizeAndNative") {
  const Image image = random_image(300, 200, 5);
  CHECK(apply_view(image, View::resize).at(0).image.rgb == resize_bilinear(image, 256, 256).rgb);
  CHECK(apply_view(image, View::native).at(0).image.rgb == image.rgb);
}

/// Has room for so many images of 256 x 256.
class FewBlocks final : public PixelSource {
 public:
  explicit FewBlocks(std::size_t most) : blocks_(most) {}
  std::uint8_t* take(std::size_t bytes) override {
    if (given_ == blocks_.size() || bytes != std::size_t{3} * 256 * 256) return nullptr;
    blocks_[given_].resize(bytes);
    return blocks_[given_++].data();
  }
  void give_back(std::uint8_t*) override { ++returned; }
  std::size_t given() const { return given_; }
  std::size_t returned = 0;

 private:
  std::vector<std::vector<std::uint8_t>> blocks_;
  std::size_t given_ = 0;
};

TEST_CASE("View.PixelsAreWrittenToTheSourcesMemoryWhereThereIsSome") {
  const auto folder = std::filesystem::path(test::kTestFixtures) / "images";
  const Image large = random_image(600, 300, 6), exact = random_image(256, 256, 7);
  for (const View view : {View::resize, View::native, View::center, View::tiles}) {
    for (const Image& image : {large, exact}) {
      const std::vector<ViewImage> expected = apply_view(image, view);
      FewBlocks source(2);
      std::size_t in_blocks = 0;
      {
        const std::vector<ViewImage> seen = apply_view(image, view, kMaxTiles, &source);
        REQUIRE(seen.size() == expected.size());
        for (std::size_t i = 0; i < seen.size(); ++i) {
          in_blocks += seen[i].block != nullptr;
          CHECK_MESSAGE(std::equal(seen[i].data(), seen[i].data() + seen[i].bytes(), expected[i].data()),
                        "image " << i);
        }
      }
      const bool fits = view != View::native || image.width == 256;
      CHECK(in_blocks == (fits ? std::min<std::size_t>(2, expected.size()) : 0));
      CHECK(source.returned == source.given());
    }
    FewBlocks source(1);
    const FileView seen = decode_view(read_file(folder / "rgb_420.jpg", 1 << 20), view, {}, kMaxTiles, &source);
    const ViewImage& first = seen.images.at(0);
    CHECK_MESSAGE((first.block != nullptr) == (view == View::resize), "the file is smaller than a block");
    CHECK(std::equal(first.data(), first.data() + first.bytes(),
                     apply_view(read_image(folder / "rgb_420.jpg"), view)[0].data()));
  }
}

TEST_CASE("View.OfAFileEqualsThatOfItsImage") {
  const auto folder = std::filesystem::path(test::kTestFixtures) / "images";
  for (const auto* name : {"rgb_420.jpg", "rgb.png", "interlaced.png", "lossy.webp"}) {
    const Image image = read_image(folder / name);
    for (const View view : {View::resize, View::native, View::center, View::tiles}) {
      const FileView seen = decode_view(read_file(folder / name, 1 << 20), view);
      const std::vector<ViewImage> expected = apply_view(image, view);
      REQUIRE_MESSAGE(seen.images.size() == expected.size(), name);
      for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK_MESSAGE(seen.images[i].image.rgb == expected[i].image.rgb, name);
      CHECK(seen.width == image.width);
      CHECK(seen.height == image.height);
    }
  }
}

TEST_CASE("View.TilesSpreadFromEdgeToEdge") {
  using Windows = std::vector<Window>;
  CHECK(tile_windows(256, 256) == (Windows{{0, 0, 256, 256}}));
  CHECK_MESSAGE(tile_windows(100, 300) == (Windows{{0, 0, 100, 256}, {0, 44, 100, 256}}), "narrower than a tile");
  CHECK_MESSAGE(tile_windows(400, 256) == (Windows{{0, 0, 256, 256}, {144, 0, 256, 256}}), "they overlap");
  CHECK_MESSAGE(tile_windows(257, 257) == (Windows{{0, 0, 256, 256}}),
                "the residual leaves out the odd row and column");
  CHECK_MESSAGE(tile_windows(513, 513) ==
                    (Windows{{0, 0, 256, 256}, {256, 0, 256, 256}, {0, 256, 256, 256}, {256, 256, 256, 256}}),
                "257 is made even");
  CHECK(tile_windows(4000, 3000).size() == 9u);
  CHECK(tile_windows(4000, 3000)[4] == (Window{1872, 1372, 256, 256}));
  CHECK(tile_windows(4000, 300, 4).size() == 4u);
  CHECK(tile_windows(250, 4000, 4)[3] == (Window{0, 3744, 250, 256}));
  CHECK_MESSAGE(tile_windows(600, 400, 1) == (Windows{{172, 72, 256, 256}}), "one alone is centred");
}

TEST_CASE("View.TilesLieInsideAndCoverWhatTheyCan") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const int width = 1 + static_cast<int>(random() % 3000), height = 1 + static_cast<int>(random() % 3000);
    const int most = 1 + static_cast<int>(random() % 16);
    const auto windows = tile_windows(width, height, most);
    REQUIRE(windows.size() >= 1u);
    REQUIRE(windows.size() <= static_cast<std::size_t>(most));
    std::set<int> columns, rows;
    for (const Window& w : windows) {
      REQUIRE(w.width == std::min(width, 256));
      REQUIRE(w.height == std::min(height, 256));
      REQUIRE(
          (w.x >= 0 && w.y >= 0 && w.x % 2 == 0 && w.y % 2 == 0 && w.x + w.width <= width && w.y + w.height <= height));
      columns.insert(w.x);
      rows.insert(w.y);
    }
    REQUIRE_MESSAGE(columns.size() * rows.size() == windows.size(), "a grid");
    // Along an axis that has as many as cover it, no column is left out; where there are fewer, they don't overlap.
    const auto check = [&](const std::set<int>& offsets, int side) {
      const bool cover = static_cast<int>(offsets.size()) * 256 >= side - side % 2;
      for (auto next = std::next(offsets.begin()); next != offsets.end(); ++next) {
        const int gap = *next - *std::prev(next) - 256;
        REQUIRE_MESSAGE((cover ? gap <= 0 : gap >= -1), width << 'x' << height << " at most " << most);
      }
      REQUIRE((!cover || (*offsets.begin() == 0 && *offsets.rbegin() + std::min(side, 256) >= side - 1)));
    };
    check(columns, width);
    check(rows, height);
    if (width <= 1024 && height <= 1024 && most == 16) {
      REQUIRE((columns.size() * 256 + 1 >= static_cast<unsigned>(width) &&
               rows.size() * 256 + 1 >= static_cast<unsigned>(height)));
    }
  }
}

}  // namespace
}  // namespace lfm
