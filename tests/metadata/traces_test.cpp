// Traces of compression and scaling: there where they were made, absent where not.

#include <cmath>

#include "src/image/encode.h"
#include "src/image/view.h"
#include "src/metadata/jpeg_tables.h"
#include "src/metadata/pixel_traces.h"
#include "tests/catch.h"
#include "tests/paths.h"

namespace lfm {
namespace {

Image photo() {
  return crop_center(read_image(std::filesystem::path(test::kSourceFolder) / "samples/chelsea.png"), 448, 296);
}
Image recoded(const Image& image, int quality) { return decode_image(encode_jpeg(image, quality)); }

TEST_CASE("JpegQuality.IsReadFromTheTables") {
  for (const int quality : {10, 50, 75, 90, 100}) {
    const auto found = jpeg_quality(encode_jpeg(photo(), quality));
    REQUIRE(found);
    CHECK(found->quality == quality);
    CHECK(found->is_exact);
  }
  CHECK(!(jpeg_quality(encode_png(photo()))));
}

TEST_CASE("JpegGaps.ComeFromTwoCompressions") {
  CHECK((jpeg_gaps(encode_jpeg(photo(), 95)).value() < 2));
  CHECK((jpeg_gaps(encode_jpeg(recoded(photo(), 75), 95)).value() >= 2));
  CHECK(!(jpeg_gaps(encode_png(photo()))));
  const auto jpeg = encode_jpeg(photo(), 80);
  CHECK(!(jpeg_gaps(std::span(jpeg).first(100))));
}

TEST_CASE("JpegGrid.IsFoundWhereItLies") {
  const Image compressed = recoded(photo(), 50);
  const auto grid = jpeg_grid(compressed);
  REQUIRE(grid);
  CHECK(grid->x == 0);
  CHECK(grid->y == 0);
  const auto shifted = jpeg_grid(crop(compressed, 3, 5, 400, 280));
  REQUIRE(shifted);
  CHECK(shifted->x == 5);
  CHECK(shifted->y == 3);
  CHECK(!(jpeg_grid(photo())));
  CHECK((!(jpeg_grid(crop(compressed, 0, 0, 64, 64)))));  // too small to tell
}

TEST_CASE("Resampling.IsToldOfEnlargedPictures") {
  CHECK(!(resampling_frequency(photo())));
  const Image small = crop(photo(), 0, 0, 280, 280);
  const auto frequency = resampling_frequency(resize_bilinear(small, 420, 420));
  REQUIRE(frequency);
  CHECK(std::abs(*frequency - (1.0 / 3)) <= 0.01);  // of three pixels two lie between others
}

}  // namespace
}  // namespace lfm
