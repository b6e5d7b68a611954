// Traces of compression and scaling: there where they were made, absent where not.
#include <gtest/gtest.h>

#include "src/image/encode.h"
#include "src/image/view.h"
#include "src/metadata/jpeg_tables.h"
#include "src/metadata/pixel_traces.h"
#include "tests/paths.h"

namespace lfm {
namespace {

Image photo() { return crop_center(read_image(std::filesystem::path(test::kSourceFolder) / "samples/chelsea.png"), 448, 296); }
Image recoded(const Image& image, int quality) { return decode_image(encode_jpeg(image, quality)); }

TEST(JpegQuality, IsReadFromTheTables) {
  for (const int quality : {10, 50, 75, 90, 100}) {
    const auto found = jpeg_quality(encode_jpeg(photo(), quality));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->quality, quality);
    EXPECT_TRUE(found->is_exact);
  }
  EXPECT_FALSE(jpeg_quality(encode_png(photo())));
}

TEST(JpegGaps, ComeFromTwoCompressions) {
  EXPECT_LT(jpeg_gaps(encode_jpeg(photo(), 95)).value(), 2);
  EXPECT_GE(jpeg_gaps(encode_jpeg(recoded(photo(), 75), 95)).value(), 2);
  EXPECT_FALSE(jpeg_gaps(encode_png(photo())));
  const auto jpeg = encode_jpeg(photo(), 80);
  EXPECT_FALSE(jpeg_gaps(std::span(jpeg).first(100)));
}

TEST(JpegGrid, IsFoundWhereItLies) {
  const Image compressed = recoded(photo(), 50);
  const auto grid = jpeg_grid(compressed);
  ASSERT_TRUE(grid);
  EXPECT_EQ(grid->x, 0);
  EXPECT_EQ(grid->y, 0);
  const auto shifted = jpeg_grid(crop(compressed, 3, 5, 400, 280));
  ASSERT_TRUE(shifted);
  EXPECT_EQ(shifted->x, 5);
  EXPECT_EQ(shifted->y, 3);
  EXPECT_FALSE(jpeg_grid(photo()));
  EXPECT_FALSE(jpeg_grid(crop(compressed, 0, 0, 64, 64)));  // too small to tell
}

TEST(Resampling, IsToldOfEnlargedPictures) {
  EXPECT_FALSE(resampling_frequency(photo()));
  const Image small = crop(photo(), 0, 0, 280, 280);
  const auto frequency = resampling_frequency(resize_bilinear(small, 420, 420));
  ASSERT_TRUE(frequency);
  EXPECT_NEAR(*frequency, 1.0 / 3, 0.01);  // of three pixels two lie between others
}

}  // namespace
}  // namespace lfm
