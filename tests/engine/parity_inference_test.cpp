// Every engine against PyTorch's numbers: ../shared/fixtures/inference.{json,safetensors}.

#include <fstream>
#include <nlohmann/json.hpp>

#include "lfm/image.h"
#include "src/engine/network.h"
#include "src/engine/reference/operations.h"
#include "src/model/safetensors.h"
#include "tests/cases/deviation.h"
#include "tests/cases/engines.h"
#include "tests/cases/fixture.h"
#include "tests/catch.h"

namespace lfm {
namespace {

constexpr double kLimit = 2e-4;  // relative to max(1, |value|), FP32

class InferenceParity {
 protected:
  explicit InferenceParity(const cases::EngineCase& tested) {
    if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
    weights_ = cases::reference_parameters(read_safetensors(cases::fixtures() / "lfm_official.safetensors"), "");
    engine_ = tested.make();
    engine_->load({}, weights_);
  }

  std::vector<float> weights_;
  std::unique_ptr<Engine> engine_;
};

float expected_logit(const std::string& image, const std::string& mode) {
  std::ifstream file(cases::fixtures() / "inference.json");
  for (const auto& record : nlohmann::json::parse(file)) {
    if (record["image"] == image && record["mode"] == mode) return record["logit"];
  }
  throw std::runtime_error("no record of " + image);
}

// The residuals of NPR's and SAFE's networks (../shared/fixtures/rivals); SAFE's sees pixels that are not divided by their deviation.
TEST_CASE("ResidualParity.OfTheRivalsOnAnOddSizedPicture") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  const Image picture = read_image(cases::fixtures() / "images/odd_size.png");
  const PixelBatch batch{picture.rgb.data(), 1, picture.height, picture.width};
  const auto compare = [&](FrontEnd front_end, const char* network, const std::array<double, 3>& unit) {
    INFO(network);
    const reference::Maps got = reference::residual(front_end_row(front_end), batch);
    const auto expected = cases::floats(read_safetensors(cases::fixtures() / "rivals" / (std::string(network) + "_stages.safetensors")),
                                        "odd_size.front");
    REQUIRE(got.values.size() == expected.size());
    std::vector<float> scaled;
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < got.area(); ++i) scaled.push_back(static_cast<float>(got.plane(0, static_cast<int>(c))[i] * unit[c]));
    }
    CHECK(cases::close_relative("residual", scaled, expected, 1e-5));
  };
  compare(FrontEnd::npr_signed, "npr", {1, 1, 1});
  compare(FrontEnd::haar_hh, "safe", kPixelStd);
}

TEST_CASE_METHOD_FOR_EACH(InferenceParity, cases::engines(), "InferenceParity.EveryStageOfOneImage") {
  const TensorFile expected = read_safetensors(cases::fixtures() / "inference.safetensors");
  const auto pixels = cases::interleave(cases::integers(expected, "chelsea.resize256.pixels"), 1, 256, 256);
  std::vector<float> logit(1), features(1024);
  infer(*engine_, {}, {pixels.data(), 1, 256, 256}, logit, features);

  CHECK(cases::close_relative("logit", logit, {expected_logit("chelsea", "resize256")}, kLimit));
  CHECK(cases::close_relative("features", features, cases::floats(expected, "chelsea.resize256.features"), kLimit));
  if (const auto maps = engine_->inference().read(Activation::maps)) {
    CHECK(cases::close_relative("maps", *maps, cases::floats(expected, "chelsea.resize256.maps"), kLimit));
  }
  // The fixture keeps these in FP16: half a unit in the last place, 2^-11, is the fixture's own error.
  const std::pair<Activation, const char*> blocks[] = {{Activation::block1, "block1"}, {Activation::block2, "block2"},
                                                       {Activation::block3, "block3"}, {Activation::block4, "block4"}};
  for (const auto& [activation, name] : blocks) {
    if (const auto got = engine_->inference().read(activation)) {
      CHECK(cases::close_relative(name, *got, cases::floats(expected, std::string("chelsea.resize256.") + name),
                                  kLimit + 0x1p-11));
    }
  }
}

TEST_CASE_METHOD_FOR_EACH(InferenceParity, cases::engines(), "InferenceParity.LogitsAndFeaturesOfFiveImagesResizedAndNative") {
  const TensorFile expected = read_safetensors(cases::fixtures() / "inference.safetensors");
  for (const std::string name : {"astronaut", "coffee", "chelsea", "noise", "odd_size"}) {
    const Image native = read_image(cases::fixtures() / "images" / (name + ".png"));
    const std::pair<const char*, Image> views[] = {{"resize256", resize_bilinear(native, 256, 256)}, {"native", native}};
    for (const auto& [mode, image] : views) {
      const std::string what = name + "." + mode;
      std::vector<float> logit(1), features(1024);
      infer(*engine_, {}, {image.rgb.data(), 1, image.height, image.width}, logit, features);
      CHECK(cases::close_relative(what + " logit", logit, {expected_logit(name, mode)}, kLimit));
      CHECK(cases::close_relative(what + " features", features, cases::floats(expected, what + ".features"), kLimit));
    }
  }
}

}  // namespace
}  // namespace lfm
