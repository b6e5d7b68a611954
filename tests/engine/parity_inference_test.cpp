// Every engine against PyTorch's numbers: ../shared/fixtures/inference.{json,safetensors}.

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/engine/network.h"
#include "src/engine/reference/operations.h"
#include "src/model/initialise.h"
#include "src/model/interchange.h"
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

// The residuals of NPR's and SAFE's networks (../shared/fixtures/rivals); SAFE's sees pixels that are not divided by
// their deviation.
TEST_CASE("ResidualParity.OfTheRivalsOnAnOddSizedPicture") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  const Image picture = read_image(cases::fixtures() / "images/odd_size.png");
  const PixelBatch batch{picture.rgb.data(), 1, picture.height, picture.width};
  const auto compare = [&](FrontEnd front_end, const char* network, const std::array<double, 3>& unit) {
    INFO(network);
    const reference::Maps got = reference::residual(front_end_row(front_end), batch);
    const auto expected =
        cases::floats(read_safetensors(cases::fixtures() / "rivals" / (std::string(network) + "_stages.safetensors")),
                      "odd_size.front");
    REQUIRE(got.values.size() == expected.size());
    std::vector<float> scaled;
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < got.area(); ++i)
        scaled.push_back(static_cast<float>(got.plane(0, static_cast<int>(c))[i] * unit[c]));
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
  const std::pair<Activation, const char*> blocks[] = {{Activation::block1, "block1"},
                                                       {Activation::block2, "block2"},
                                                       {Activation::block3, "block3"},
                                                       {Activation::block4, "block4"}};
  for (const auto& [activation, name] : blocks) {
    if (const auto got = engine_->inference().read(activation)) {
      CHECK(cases::close_relative(name, *got, cases::floats(expected, std::string("chelsea.resize256.") + name),
                                  kLimit + 0x1p-11));
    }
  }
}

TEST_CASE_METHOD_FOR_EACH(InferenceParity, cases::engines(),
                          "InferenceParity.LogitsAndFeaturesOfFiveImagesResizedAndNative") {
  const TensorFile expected = read_safetensors(cases::fixtures() / "inference.safetensors");
  for (const std::string name : {"astronaut", "coffee", "chelsea", "noise", "odd_size"}) {
    const Image native = read_image(cases::fixtures() / "images" / (name + ".png"));
    const std::pair<const char*, Image> views[] = {{"resize256", resize_bilinear(native, 256, 256)},
                                                   {"native", native}};
    for (const auto& [mode, image] : views) {
      const std::string what = name + "." + mode;
      std::vector<float> logit(1), features(1024);
      infer(*engine_, {}, {image.rgb.data(), 1, image.height, image.width}, logit, features);
      CHECK(cases::close_relative(what + " logit", logit, {expected_logit(name, mode)}, kLimit));
      CHECK(cases::close_relative(what + " features", features, cases::floats(expected, what + ".features"), kLimit));
    }
  }
}

// ---- NPR's and SAFE's networks ----

struct Rival {
  const char* name;
  Architecture architecture;
};
constexpr std::array<Rival, 2> kRivals = {{{"npr", kNprNetwork}, {"safe", kSafeNetwork}}};

class RivalParity {
 protected:
  explicit RivalParity(const cases::EngineCase& tested) : engine_(tested.make()) {
    if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
    if (!engine_->computes(kNprNetwork, PlanMode::inference)) SKIP("no trunk of ResNet in " << engine_->description());
  }

  /// Loads a rival's random weights; its recorded stages.
  TensorFile load(const Rival& rival) {
    const std::filesystem::path folder = cases::fixtures() / "rivals";
    const Model model = import_model(folder / (std::string(rival.name) + "_random.safetensors"));
    REQUIRE(model.architecture == rival.architecture);
    engine_->load(model.architecture, model.values);
    std::ifstream file(folder / (std::string(rival.name) + ".json"));
    records_ = nlohmann::json::parse(file);
    return read_safetensors(folder / (std::string(rival.name) + "_stages.safetensors"));
  }

  void compare(const TensorFile& expected, const std::string& name) {
    const Image image = read_image(cases::fixtures() / "images" / (name + ".png"));
    std::vector<float> logit(1), features(static_cast<std::size_t>(feature_count(engine_->architecture())));
    infer(*engine_, engine_->architecture(), {image.rgb.data(), 1, image.height, image.width}, logit, features);
    const auto record =
        std::ranges::find(records_, name, [](const nlohmann::json& r) { return r["image"].get<std::string>(); });
    const std::vector<double> out = (*record)["out"];
    CHECK(cases::close_relative(name + " logit", logit,
                                {static_cast<float>(out.back() - (out.size() > 1 ? out[0] : 0))}, kLimit));
    CHECK(cases::close_relative(name + " features", features, cases::floats(expected, name + ".features"), kLimit));
  }

  std::unique_ptr<Engine> engine_;
  nlohmann::json records_;
};

TEST_CASE_METHOD_FOR_EACH(RivalParity, cases::engines(), "RivalParity.EveryStageOfAnOddSizedPicture") {
  for (const Rival& rival : kRivals) {
    INFO(rival.name);
    const TensorFile expected = load(rival);
    compare(expected, "odd_size");
    // The fixture keeps these in FP16.
    const std::pair<Activation, const char*> stages[] = {
        {Activation::block1, "stem"}, {Activation::block2, "layer1"}, {Activation::maps, "layer2"}};
    for (const auto& [activation, name] : stages) {
      const auto got = engine_->inference().read(activation);
      REQUIRE(got);
      CHECK(cases::close_relative(name, *got, cases::floats(expected, std::string("odd_size.") + name),
                                  kLimit + 0x1p-11));
    }
  }
}

TEST_CASE("RivalParity.LogitsAndFeaturesOfFivePictures") {
  if (cases::fixtures().empty()) SKIP(cases::kMissingFixtures);
  struct Pictures : RivalParity {
    Pictures() : RivalParity({"cpu", [] { return make_cpu_engine(); }}) {
      for (const Rival& rival : kRivals) {
        INFO(rival.name);
        const TensorFile expected = load(rival);
        for (const char* name : {"astronaut", "coffee", "chelsea", "noise", "odd_size"}) compare(expected, name);
      }
    }
  };
  Pictures();
}

// Any combination of parts, sizes of every remainder, batches: against the reference.
TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines_beside_reference(),
                   "RivalParity.OfRandomNetworksAgainstTheReference") {
  const auto engine = tested.make(), reference = make_reference_engine();
  if (!engine->computes(kNprNetwork, PlanMode::inference)) SKIP("no trunk of ResNet in " << engine->description());
  const std::pair<Architecture, PixelBatch> networks[] = {
      {kNprNetwork, {nullptr, 1, 48, 63}},
      {kSafeNetwork, {nullptr, 2, 53, 50}},
      {{Pooling::topk, 5, FrontEnd::npr, Trunk::resnet, Head::softmax}, {nullptr, 1, 64, 57}}};
  for (auto [architecture, batch] : networks) {
    const std::vector<float> values = initial_values(architecture, 5);
    std::mt19937 random(9);
    std::vector<std::uint8_t> pixels(batch.bytes());
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random());
    batch.pixels = pixels.data();
    const auto pass = [&, architecture = architecture, batch = batch](Engine& any) {
      any.load(architecture, values);
      std::vector<float> logits(static_cast<std::size_t>(batch.n)),
          features(logits.size() * static_cast<std::size_t>(feature_count(architecture)));
      infer(any, architecture, batch, logits, features);
      features.insert(features.end(), logits.begin(), logits.end());
      return features;
    };
    CHECK(cases::close_relative("features and logits", pass(*engine), pass(*reference), 1e-5));
  }
}

TEST_CASE("RivalParity.TheSameBitsWhateverTheThreadsAndTheBatch") {
  constexpr int n = 3, height = 61, width = 79;
  std::mt19937 random(2);
  std::vector<std::uint8_t> pixels(std::size_t{3} * n * height * width);
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random());
  const std::vector<float> values = initial_values(kSafeNetwork, 3);
  const auto logits = [&](int threads, int images) {
    const auto engine = make_cpu_engine(threads);
    engine->load(kSafeNetwork, values);
    std::vector<float> all(n);
    for (int i = 0; i < n; i += images) {
      const PixelBatch batch = PixelBatch{pixels.data(), n, height, width}.part(i, images);
      engine->reserve({images, height, width, PlanMode::inference});
      infer_pass(*engine, batch, std::span(all).subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(images)));
    }
    return all;
  };
  const auto one = logits(1, n);
  CHECK(logits(2, n) == one);
  CHECK(logits(7, 1) == one);
}

TEST_CASE_FOR_EACH(const cases::EngineCase& tested, cases::engines(), "RivalParity.WhatAnEngineLacksItRefuses") {
  const auto engine = tested.make();
  const std::vector<float> values = initial_values(kNprNetwork, 1);
  const auto error = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& e) {
      return e.code() == ErrorCode::usage ? e.what() : "another kind of error";
    }
    return "none";
  };
  const auto told = [&](PlanMode mode) {
    const std::string remedy = engine->remedy(kNprNetwork, mode);
    return remedy.empty() ? "none" : remedy;
  };
  CHECK_THAT(error([&] { engine->load(kNprNetwork, values); }), ContainsSubstring(told(PlanMode::inference)));
  if (engine->computes(kNprNetwork, PlanMode::inference)) {
    CHECK_THAT(error([&] {
                 engine->reserve({1, 48, 48, PlanMode::training});
               }),
               ContainsSubstring(told(PlanMode::training)));
  }
}

}  // namespace
}  // namespace lfm
