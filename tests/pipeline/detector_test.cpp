// An image from memory gets the scores that its file gets, whatever else is asked for.
#include "lfm/detector.h"

#include <gtest/gtest.h>

#include "src/model/weight_file.h"
#include "tests/cli/sample_inputs.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

class DetectorOfImages : public ::testing::Test {
 protected:
  DetectorOfImages() {
    write_random_model(folder_ / "model.lfmw", 7);
    write_ppm(folder_ / "a.ppm", 300, 270, 3);
  }

  void expect_as_from_file(DetectorOptions options) {
    options.device = "cpu";
    Detector detector(folder_ / "model.lfmw", options);
    const Detection image = detector.detect(read_image(folder_ / "a.ppm")), file = detector.detect_files({folder_ / "a.ppm"}).at(0);
    ASSERT_TRUE(file.scored()) << file.error;
    ASSERT_TRUE(image.scored());
    EXPECT_EQ(image.width, 300);
    EXPECT_EQ(image.height, 270);
    EXPECT_EQ(image.logit, file.logit);
    EXPECT_EQ(image.score, file.score);
    EXPECT_EQ(image.fake, file.fake);
    EXPECT_EQ(image.doubt, file.doubt);
    EXPECT_EQ(image.texture, file.texture);
    EXPECT_EQ(image.features, file.features);
    EXPECT_EQ(image.delivered_scores, file.delivered_scores);
    EXPECT_EQ(image.thumbnail, file.thumbnail);
    ASSERT_EQ(image.evidence.size(), file.evidence.size());
    for (std::size_t i = 0; i < file.evidence.size(); ++i) EXPECT_EQ(image.evidence[i].contributions, file.evidence[i].contributions);
  }

  TemporaryFolder folder_;
};

TEST_F(DetectorOfImages, InEveryView) {
  for (const View view : {View::native, View::resize, View::center, View::tiles}) {
    SCOPED_TRACE(view_name(view));
    DetectorOptions options;
    options.view = view;
    expect_as_from_file(options);
  }
}

TEST_F(DetectorOfImages, WithDeliveriesFeaturesEvidenceAndThumbnail) {
  DetectorOptions options;
  options.view = View::tiles;
  options.deliveries = {"none", "jpeg:60"};
  options.features = options.evidence = true;
  options.thumbnails = 32;
  expect_as_from_file(options);
}

TEST_F(DetectorOfImages, TooSmallOnesAreRefused) {
  DetectorOptions options;
  options.device = "cpu";
  Detector detector(folder_ / "model.lfmw", options);
  EXPECT_NE(error_of(ErrorCode::input, [&] { detector.detect(Image{5, 5, std::vector<std::uint8_t>(75)}); }), "");
}

}  // namespace
}  // namespace lfm::test
