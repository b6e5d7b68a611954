// An image from memory gets the scores that its file gets, whatever else is asked for.
#include "lfm/detector.h"

#include "src/model/weight_file.h"
#include "tests/catch.h"
#include "tests/cli/sample_inputs.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

class DetectorOfImages {
 protected:
  DetectorOfImages() {
    write_random_model(folder_ / "model.lfmw", 7);
    write_ppm(folder_ / "a.ppm", 300, 270, 3);
  }

  void expect_as_from_file(DetectorOptions options) {
    options.device = "cpu";
    Detector detector(folder_ / "model.lfmw", options);
    const Detection image = detector.detect(read_image(folder_ / "a.ppm")), file = detector.detect_files({folder_ / "a.ppm"}).at(0);
    REQUIRE_MESSAGE(file.scored(), file.error);
    REQUIRE(image.scored());
    CHECK(image.width == 300);
    CHECK(image.height == 270);
    CHECK(image.logit == file.logit);
    CHECK(image.score == file.score);
    CHECK(image.fake == file.fake);
    CHECK(image.doubt == file.doubt);
    CHECK(image.texture == file.texture);
    CHECK(image.features == file.features);
    CHECK(image.delivered_scores == file.delivered_scores);
    CHECK(image.thumbnail == file.thumbnail);
    REQUIRE(image.evidence.size() == file.evidence.size());
    for (std::size_t i = 0; i < file.evidence.size(); ++i)
      CHECK(image.evidence[i].contributions == file.evidence[i].contributions);
  }

  TemporaryFolder folder_;
};

TEST_CASE_METHOD(DetectorOfImages, "DetectorOfImages.InEveryView") {
  for (const View view : {View::native, View::resize, View::center, View::tiles}) {
    INFO(view_name(view));
    DetectorOptions options;
    options.view = view;
    expect_as_from_file(options);
  }
}

TEST_CASE_METHOD(DetectorOfImages, "DetectorOfImages.WithDeliveriesFeaturesEvidenceAndThumbnail") {
  DetectorOptions options;
  options.view = View::tiles;
  options.deliveries = {"none", "jpeg:60"};
  options.features = options.evidence = true;
  options.thumbnails = 32;
  expect_as_from_file(options);
}

TEST_CASE_METHOD(DetectorOfImages, "DetectorOfImages.TooSmallOnesAreRefused") {
  DetectorOptions options;
  options.device = "cpu";
  Detector detector(folder_ / "model.lfmw", options);
  CHECK(error_of(ErrorCode::input, [&] { detector.detect(Image{5, 5, std::vector<std::uint8_t>(75)}); }) != "");
}

}  // namespace
}  // namespace lfm::test
