// An image from memory gets the scores that its file gets, whatever else is asked for.
#include "lfm/detector.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "src/engine/engine.h"
#include "src/eval/evidence.h"
#include "src/model/combination.h"
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
    const Detection image = detector.detect(read_image(folder_ / "a.ppm")),
                    file = detector.detect_files({folder_ / "a.ppm"}).at(0);
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
    CHECK(image.member_logits == file.member_logits);
    CHECK(image.decided_by == file.decided_by);
    CHECK(image.delivered_scores == file.delivered_scores);
    CHECK(image.thumbnail == file.thumbnail);
    REQUIRE(image.evidence.size() == file.evidence.size());
    for (std::size_t i = 0; i < file.evidence.size(); ++i)
      CHECK(image.evidence[i].contributions == file.evidence[i].contributions);
  }

  void expect_everything_as_from_file() {
    DetectorOptions options;
    options.view = View::tiles;
    options.deliveries = {"none", "jpeg:60"};
    options.features = options.evidence = true;
    options.thumbnails = 32;
    expect_as_from_file(options);
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
  expect_everything_as_from_file();
}

class DetectorOfMembers : public DetectorOfImages {
 protected:
  DetectorOfMembers() {
    write_random_model(folder_ / "second.lfmw", 11);
    for (int i = 0; i < 6; ++i) write_ppm(folder_ / ("many/" + std::to_string(i) + ".ppm"), 300, 270, 20 + i);
    models_ = {load_model(folder_ / "model.lfmw"), load_model(folder_ / "second.lfmw")};
    models_[1].name = "second";
  }
  std::vector<Detection> detect(const Model& model, DetectorOptions options = {}) {
    options.device = "cpu";
    options.view = View::tiles;
    Detector detector(model, options);
    return detector.detect_files({folder_ / "many"});
  }
  std::vector<Model> models_;
};

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.EveryMemberSeesWhatItSeesAlone") {
  DetectorOptions options;
  options.deliveries = {"none", "jpeg:60", "resize:0.01"};
  const auto first = detect(models_[0], options), second = detect(models_[1], options);
  for (const CombinationSpec& spec : combinations()) {
    const Model model = join_models(models_, spec.combination);
    const auto joint = detect(model, options);
    for (std::size_t i = 0; i < joint.size(); ++i) {
      for (std::size_t d = 0; d < 2; ++d) {
        const std::vector<float> logits = {first[i].delivered_logits[d], second[i].delivered_logits[d]};
        CHECK(joint[i].delivered_member_logits[2 * d] == logits[0]);
        CHECK(joint[i].delivered_member_logits[2 * d + 1] == logits[1]);
        CHECK(joint[i].delivered_logits[d] == combine(model, logits).logit);
      }
      CHECK_MESSAGE((std::isnan(joint[i].delivered_logits[2]) && std::isnan(joint[i].delivered_scores[2])),
                    "can't be delivered so");
      CHECK(joint[i].member_logits == (std::vector{first[i].logit, second[i].logit}));
      CHECK(joint[i].logit == joint[i].delivered_logits[0]);
      CHECK(joint[i].fake == (joint[i].score > 0.5f));
    }
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.EvidenceIsExactForEveryMember") {
  DetectorOptions options;
  options.evidence = options.features = true;
  const Model model = join_models(models_);
  const auto joint = detect(model, options), second = detect(models_[1], options);
  for (std::size_t i = 0; i < joint.size(); ++i) {
    REQUIRE(joint[i].features.size() == 2 * second[i].features.size());
    CHECK(std::equal(second[i].features.begin(), second[i].features.end(), joint[i].features.begin() + 1024));
    for (std::size_t m = 0; m < 2; ++m) {
      const ParameterTable table = parameter_table(models_[m].architecture);
      double logit = models_[m].values[table[kHeadBias].offset];
      for (const Evidence& window : evidence_of(joint[i], m)) {
        for (const float contribution : window.contributions) logit += contribution;
      }
      CHECK_THAT(logit, WithinAbs(joint[i].member_logits[m], 1e-3 * std::abs(logit) + 1e-4));
    }
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.StableAnswersAreMediansOfJointLogits") {
  DetectorOptions options;
  options.stable = true;
  for (Detection& detection : detect(join_models(models_), options)) {
    std::vector<float> logits = detection.delivered_logits;
    std::ranges::sort(logits);
    CHECK(detection.logit == logits[logits.size() / 2]);
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.AsFromMemory") {
  save_model(join_models(models_), folder_ / "model.lfmw");
  expect_everything_as_from_file();
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.LogitsOfWindowsAreThoseOfThePictures") {
  DetectorOptions options;
  options.device = "cpu";
  options.view = View::native;
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 3; ++i) {
    const Image image = read_image(folder_ / ("many/" + std::to_string(i) + ".ppm"));
    pixels.insert(pixels.end(), image.rgb.begin(), image.rgb.end());
  }
  for (const Model& model : {models_[0], join_models(models_)}) {
    Detector detector(model, options);
    const std::vector<float> logits = detector.logits({pixels.data(), 3, 270, 300});
    const std::vector<Detection> files = detector.detect_files({folder_ / "many"});
    REQUIRE(logits.size() == 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(logits[i] == files[i].logit);
      CHECK(detector.score(logits[i]) == files[i].score);
    }
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.WindowsOfAGpuAreReadWhereTheyLie") {
  if (!why_no_emulation().empty()) SKIP(why_no_emulation());
  std::vector<std::uint8_t> pixels(std::size_t{2} * 48 * 50 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i / 7);
  DetectorOptions options;
  options.device = "emulated";  // whose memory is the computer's
  Detector detector(models_[0], options);
  const Windows copied{pixels.data(), 2, 48, 50}, in_place{pixels.data(), 2, 48, 50, true};
  for (std::size_t pass = 0; pass < 2; ++pass) {  // the second is a graph
    for (std::size_t i = pass; i < pixels.size(); i += 5) pixels[i] ^= 64;
    CHECK(detector.logits(in_place) == detector.logits(copied));
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.WindowsThatCantBeScoredAreRefused") {
  DetectorOptions options;
  options.device = "cpu";
  Detector detector(models_[0], options);
  const std::vector<std::uint8_t> pixels(std::size_t{64} * 64 * 3);
  const auto error = [&](ErrorCode code, const Windows& windows) {
    return error_of(code, [&] { detector.logits(windows); });
  };
  CHECK_THAT(error(ErrorCode::usage, {pixels.data(), 0, 64, 64}), ContainsSubstring("no windows"));
  CHECK_THAT(error(ErrorCode::input, {pixels.data(), 1, 8, 8}), ContainsSubstring("smaller than"));
  CHECK_THAT(error(ErrorCode::usage, {pixels.data(), 1, 64, 64, true}),
             ContainsSubstring("GPU") && ContainsSubstring("cpu"));
}

class Inputs : public InputSource {
 public:
  explicit Inputs(std::vector<Input> inputs) : inputs_(std::move(inputs)) {}
  std::optional<Input> next() override { return at_ < inputs_.size() ? std::optional(inputs_[at_++]) : std::nullopt; }

 private:
  std::vector<Input> inputs_;
  std::size_t at_ = 0;
};

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.EachPictureAsksForItselfAndIsToldUpright") {
  std::vector<Input> inputs(4);
  for (Input& input : inputs) input.path = folder_ / "a.ppm";
  inputs[1].evidence = true;
  inputs[2].stable = true;
  inputs[3].image = std::make_shared<const Image>(read_image(folder_ / "a.ppm"));
  inputs[3].orientation = 6;
  inputs[3].evidence = true;
  DetectorOptions options;
  options.device = "cpu";
  options.view = View::tiles;
  const Model model = join_models(models_);
  Detector detector(model, options);
  Inputs source(inputs);
  std::vector<Detection> found;
  detector.detect_stream(source, [&](Detection&& detection) { found.push_back(std::move(detection)); });
  options.evidence = options.stable = true;
  const Detection all = Detector(model, options).detect_files({folder_ / "a.ppm"}).at(0);

  REQUIRE(found.size() == 4u);
  CHECK(found[0].evidence.empty());
  CHECK(found[2].evidence.empty());
  CHECK(found[2].logit == all.logit);
  CHECK(found[2].delivered_member_logits == all.delivered_member_logits);
  for (const Detection& detection : found) CHECK(detection.member_logits == all.member_logits);
  REQUIRE(found[1].evidence.size() == all.evidence.size());
  REQUIRE(found[3].evidence.size() == all.evidence.size());
  CHECK(found[3].width == 270);
  for (std::size_t i = 0; i < all.evidence.size(); ++i) {
    const Evidence &plain = found[1].evidence[i], &turned = found[3].evidence[i];
    CHECK(plain.contributions == all.evidence[i].contributions);
    CHECK(turned.member == plain.member);
    CHECK(turned.rows == plain.columns);
    std::vector<float> stored = plain.contributions, upright = turned.contributions;
    std::ranges::sort(stored);
    std::ranges::sort(upright);
    CHECK(stored == upright);
  }
}

TEST_CASE_METHOD(DetectorOfMembers, "DetectorOfMembers.SeveralFilesMakeOneModel") {
  const std::string names = (folder_ / "model.lfmw").string() + "," + (folder_ / "second.lfmw").string();
  const Model model = load_models(find_models(names), Combination::max);
  CHECK(model.members.size() == 2u);
  CHECK(model.combination == Combination::max);
  CHECK(load_models(find_models((folder_ / "second.lfmw").string())).members.size() == 0u);
  CHECK(error_of(ErrorCode::usage, [&] { find_models(names + ","); }) != "");
  CHECK(error_of(ErrorCode::model, [&] { find_models(names + ",missing.lfmw"); }).find("missing.lfmw") !=
        std::string::npos);
  std::filesystem::copy_file(folder_ / "model.lfmw", folder_ / "a,b.lfmw");
  CHECK_MESSAGE(find_models((folder_ / "a,b.lfmw").string()).size() == 1u, "a file of that very name");
}

TEST_CASE_METHOD(DetectorOfImages, "DetectorOfImages.TooSmallOnesAreRefused") {
  DetectorOptions options;
  options.device = "cpu";
  Detector detector(folder_ / "model.lfmw", options);
  CHECK(error_of(ErrorCode::input, [&] { detector.detect(Image{5, 5, std::vector<std::uint8_t>(75)}); }) != "");
}

}  // namespace
}  // namespace lfm::test
