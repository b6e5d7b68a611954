// Deliveries and tiles of one picture, put together.
#include "src/pipeline/picture.h"

#include <cmath>
#include <span>
#include <vector>

#include "src/model/architecture.h"
#include "tests/catch.h"
#include "tests/image/random_image.h"

namespace lfm {
namespace {

Picture cut(const Image& image, const Presentation& presentation, bool with_evidence = false) {
  const Member member;
  return cut_up(present(image, presentation), presentation, std::span(&member, 1), with_evidence);
}

TEST_CASE("Picture.ADeliverysLogitIsTheMeanOverItsTiles") {
  const Presentation presentation{View::tiles, 4, {{}, {Delivery::Kind::resize, 0.5}}};
  Picture picture = cut(random_image(512, 500, 1), presentation);
  REQUIRE_MESSAGE(picture.pieces.size() == 4u + 1u, "one tile covers half of it");
  const std::vector<float> features = {1, 10};
  for (std::size_t i = 0; i < picture.pieces.size(); ++i) {
    add_score(picture.pieces[i], static_cast<float>(i), std::vector{features[0] * static_cast<float>(i), features[1]});
  }
  Detection detection;
  REQUIRE(put_together(picture, detection));
  CHECK(detection.logit == 1.5f);
  CHECK(detection.delivered_logits == (std::vector<float>{1.5f, 4.0f}));
  CHECK_MESSAGE(detection.features == (std::vector<float>{1.5f, 10.0f}), "of the first delivery");
}

TEST_CASE("Picture.WhatCannotBeDeliveredIsLeftOut") {
  const Presentation presentation{View::native, 9, {{Delivery::Kind::resize, 0.5}, {}, {Delivery::Kind::shift, 30}}};
  Picture picture = cut(random_image(64, 64, 1), presentation);
  REQUIRE(picture.pieces.size() == 1u);
  add_score(picture.pieces[0], -3, {});
  Detection detection;
  REQUIRE(put_together(picture, detection));
  CHECK_MESSAGE(detection.logit == -3, "the first there is");
  REQUIRE(detection.delivered_logits.size() == 3u);
  CHECK((std::isnan(detection.delivered_logits[0]) && std::isnan(detection.delivered_logits[2])));
  CHECK(detection.features.empty());
}

TEST_CASE("Picture.HasTheFirstErrorWhereNothingHasAScore") {
  Presentation presentation;
  presentation.view = View::native;
  Picture picture = cut(random_image(40, 64, 1), presentation);
  CHECK(picture.pieces.empty());
  Detection detection;
  CHECK_FALSE(put_together(picture, detection));
  CHECK_MESSAGE(detection.error.find("48") != std::string::npos, detection.error);
}

TEST_CASE("Picture.ATileThatFailsTakesThePictureWithIt") {
  const Presentation presentation{View::tiles, 4, {{}, {Delivery::Kind::shift, 3}}};
  Picture picture = cut(random_image(600, 520, 1), presentation, true);
  picture.pieces[0].error = "too large";
  for (std::size_t i = 1; i < picture.pieces.size(); ++i) add_score(picture.pieces[i], 1, std::vector<float>{1});
  Detection detection;
  CHECK_FALSE(put_together(picture, detection));
  CHECK(detection.error == "too large");
  CHECK((detection.delivered_logits.empty() && detection.evidence.empty() && detection.features.empty()));
}

TEST_CASE("Picture.EvidenceKnowsWhereItsWindowLies") {
  const Presentation presentation{View::tiles, 4, {{}}};
  const Picture picture = cut(random_image(500, 300, 1), presentation, true);
  REQUIRE(picture.evidence.size() == 4u);
  CHECK(picture.evidence[3].x == 244);
  CHECK(picture.evidence[3].y == 44);
  CHECK(picture.evidence[3].rows == 30);
  const Presentation resized{View::resize, 9, {{}}};
  const Evidence whole = cut(random_image(600, 300, 1), resized, true).evidence.at(0);
  CHECK(whole.width == 600);
  CHECK(whole.view_width == 256);
}

}  // namespace
}  // namespace lfm
