#include "src/pipeline/delivery.h"

#include "lfm/error.h"
#include "src/image/augment.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"

namespace lfm {
namespace {

using Kind = Delivery::Kind;

TEST_CASE("Delivery.ParsesOneValueAfterTheOther") {
  const auto all = parse_deliveries({"jpeg:90,75", "none", "webp:0", "blur:1.5", "resize:0.75", "noise:4", "shift:3"});
  const std::vector<Delivery> expected = {{Kind::jpeg, 90}, {Kind::jpeg, 75},  {},
                                          {Kind::webp, 0},  {Kind::blur, 1.5}, {Kind::resize, 0.75},
                                          {Kind::noise, 4}, {Kind::shift, 3}};
  CHECK(all == expected);
  for (const Delivery& delivery : all) CHECK(parse_deliveries({delivery.name()}) == std::vector{delivery});
}

// Found by fuzzing: names of six digits were the same for amounts that differ.
TEST_CASE("Delivery.NamesTellAmountsApart") {
  for (const std::string word :
       {"resize:0.5888888888888889", "resize:0.588889", "blur:1e-09", "noise:254.99999999999997", "shift:4096"}) {
    const auto delivery = parse_deliveries({word});
    CHECK(delivery.front().name() == word);
    CHECK(parse_deliveries({delivery.front().name()}) == delivery);
  }
}

TEST_CASE("Delivery.RefusesWhatItDoesNotUnderstand") {
  for (const char* word :
       {"", "jpg:90", "jpeg", "jpeg:", "jpeg:90,", "jpeg:0", "jpeg:101", "jpeg:80.5", "webp:-1", "resize:0", "blur:x",
        "noise:nan", "resize:inf", "none:1", "shift:1e9", "screen:20", "social:0"}) {
    try {
      parse_deliveries({word});
      FAIL(word);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
      CHECK_THAT_MESSAGE(error.what(), ContainsSubstring("jpeg:QUALITY"), "names the remedy");
    }
  }
  {
    INFO("given twice");
    CHECK_THROWS_AS(parse_deliveries({"jpeg:90", "jpeg:80,90"}), Error);
  }
  CHECK_THROWS_AS(parse_deliveries({"none", "none"}), Error);
}

TEST_CASE("Delivery.IsWhatTheAugmentationDoes") {
  const Image image = random_image(70, 60, 1);
  CHECK(deliver(image, {}).rgb == image.rgb);
  CHECK(deliver(image, {Kind::jpeg, 80}).rgb == recompress_jpeg(image, 80).rgb);
  CHECK(deliver(image, {Kind::webp, 70}).rgb == recompress_webp(image, 70).rgb);
  CHECK(deliver(image, {Kind::blur, 1}).rgb == gaussian_blur(image, 1).rgb);
  CHECK(deliver(image, {Kind::resize, 0.75}).rgb == rescale(image, 0.75).rgb);
  CHECK(deliver(image, {Kind::shift, 3}).rgb == crop(image, 3, 3, 67, 57).rgb);
}

TEST_CASE("Delivery.ShrinksToALongerSideAndEnlargesNothing") {
  const Image image = random_image(200, 100, 1);
  CHECK(deliver(image, {Kind::screen, 150}).rgb == rescale(image, 0.75).rgb);
  CHECK(deliver(image, {Kind::screen, 1080}).rgb == image.rgb);
  CHECK(deliver(image, {Kind::social, 150}).rgb == recompress_jpeg(rescale(image, 0.75), 75).rgb);
  CHECK(deliver(image, {Kind::social, 1080}).rgb == recompress_jpeg(image, 75).rgb);
}

TEST_CASE("Delivery.NoiseIsThePicturesOwnAndTheSameEveryTime") {
  const Image a = random_image(64, 64, 1), b = random_image(64, 64, 2);
  const Delivery noise{Kind::noise, 4};
  CHECK(deliver(a, noise).rgb == deliver(a, noise).rgb);
  CHECK(deliver(a, noise).rgb != a.rgb);
  std::size_t same = 0;
  const Image noisy_a = deliver(a, noise), noisy_b = deliver(b, noise);
  for (std::size_t i = 0; i < a.rgb.size(); ++i) same += noisy_a.rgb[i] - a.rgb[i] == noisy_b.rgb[i] - b.rgb[i];
  CHECK_MESSAGE(same < a.rgb.size() / 4, "two pictures got the same noise");
}

TEST_CASE("Delivery.SaysWhereAPictureIsTooSmallToBeCut") {
  try {
    deliver(random_image(20, 60, 1), {Kind::shift, 20});
    FAIL("");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    CHECK_THAT(error.what(), ContainsSubstring("shift:20"));
  }
}

}  // namespace
}  // namespace lfm
