#include "src/model/weight_file.h"

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "lfm/error.h"
#include "src/model/architecture.h"
#include "tests/catch.h"
#include "tests/model/equal_models.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

using test::error_of;

ThresholdTable some_thresholds() {
  ThresholdTable table{View::tiles, 624, 14, 692, 12, {"none", "jpeg:75"}, {}};
  table.rows.push_back({0.05, 0.7182817f, 0.021, {"web (jpeg:75)", 2, 40}, {}, 0.51, 0.38, 0.64});
  table.rows.push_back({0.1, 0.5f, 0.04, {"ph\xc3\xb6nes", 4, 40}, {"web", 9, 40}, 0.61, 0.5, 0.7});
  return table;
}

TEST_CASE("WeightFile.KeepsTheTableOfThresholds") {
  const test::TemporaryFolder folder;
  Model model = test::random_model({}, 1);
  model.thresholds = some_thresholds();
  save_model(model, folder / "a.lfmw");
  const ThresholdTable read = load_model(folder / "a.lfmw").thresholds;
  REQUIRE(read.rows.size() == 2u);
  CHECK(read.view == View::tiles);
  CHECK(read.conditions == model.thresholds.conditions);
  CHECK(read.rows[0].threshold == 0.7182817f);
  CHECK(read.rows[0].worst_unseen.of == 0u);
  CHECK(read.rows[1].worst_unseen.called == 9u);
  CHECK(read.rows[1].worst.name == model.thresholds.rows[1].worst.name);

  // A file of before.
  model.thresholds = {};
  save_model(model, folder / "old.lfmw");
  CHECK_FALSE(Container(folder / "old.lfmw").header().contains("thresholds"));
  CHECK(load_model(folder / "old.lfmw").thresholds.rows.empty());
}

TEST_CASE("WeightFile.RoundTrip") {
  const test::TemporaryFolder folder;
  for (const Architecture architecture :
       {Architecture{}, Architecture{Pooling::topk, 5}, Architecture{Pooling::average, 1}}) {
    for (const View view : {View::resize, View::native, View::center, View::tiles}) {
      Model model = test::random_model(architecture, 1);
      model.view = view;
      model.threshold = 0.1f;
      model.calibration = {1.7f, -0.3f};
      model.name = "nümber \"1\"\n";
      model.provenance = R"({"seed": 18446744073709551615, "data": ["a", {"b": null}]})";
      save_model(model, folder / "a.lfmw");
      test::check_equal(load_model(folder / "a.lfmw"), model);
    }
  }
}

TEST_CASE("WeightFile.SameModelSameBytes") {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 2);
  save_model(model, folder / "a.lfmw");
  save_model(load_model(folder / "a.lfmw"), folder / "b.lfmw");
  CHECK(test::read_bytes(folder / "a.lfmw") == test::read_bytes(folder / "b.lfmw"));
}

TEST_CASE("WeightFile.TensorsAreAligned") {
  const test::TemporaryFolder folder;
  save_model(test::random_model({}, 3), folder / "a.lfmw");
  const Container container(folder / "a.lfmw");
  REQUIRE(container.tensors().size() == std::size_t{kParameters});
  for (const Tensor& tensor : container.tensors()) {
    CHECK_MESSAGE(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % 64 == 0u, tensor.name);
  }
}

TEST_CASE("WeightFile.RefusesToWriteWhatItWouldNotRead") {
  const test::TemporaryFolder folder;
  const auto expect_refused = [&](const char* cause, const std::function<void(Model&)>& spoil) {
    Model model = test::random_model({}, 4);
    spoil(model);
    CHECK_THAT(error_of(ErrorCode::output, [&] { save_model(model, folder / "a.lfmw"); }),
               ContainsSubstring("a.lfmw") && ContainsSubstring(cause));
    CHECK_MESSAGE(std::filesystem::is_empty(folder.path()), cause);
  };
  expect_refused("values", [](Model& m) { m.values.pop_back(); });
  expect_refused("block1.conv.weight", [](Model& m) { m.values[5] = std::numeric_limits<float>::quiet_NaN(); });
  expect_refused("finite", [](Model& m) { m.values[5] = std::numeric_limits<float>::infinity(); });
  expect_refused("negative variance",
                 [](Model& m) { m.values[parameter_table({})[running_var(2)].offset + 7] = -1e-9f; });
  expect_refused("threshold", [](Model& m) { m.threshold = 1.5f; });
  expect_refused("threshold", [](Model& m) { m.threshold = std::numeric_limits<float>::quiet_NaN(); });
  expect_refused("calibration", [](Model& m) { m.calibration.temperature = 0; });
  expect_refused("calibration", [](Model& m) { m.calibration.bias = std::numeric_limits<float>::infinity(); });
  expect_refused("provenance", [](Model& m) { m.provenance = "[1]"; });
  expect_refused("provenance", [](Model& m) { m.provenance = "{"; });
  expect_refused("UTF-8", [](Model& m) { m.name = "\xff"; });
  expect_refused("k is 0", [](Model& m) { m.architecture.k = 0; });
  expect_refused("average", [](Model& m) { m.architecture.pooling = Pooling::average; });
}

/// A header and tensors as save_model writes them, to be spoiled and written by write_container.
struct Parts {
  nlohmann::json header;
  std::vector<Tensor> tensors;
};

std::string error_after(const std::function<void(Parts&)>& spoil) {
  static const test::TemporaryFolder folder;
  save_model(test::random_model({}, 5), folder / "good.lfmw");
  const Container good(folder / "good.lfmw");
  Parts parts{good.header(), {good.tensors().begin(), good.tensors().end()}};
  spoil(parts);
  write_container(folder / "bad.lfmw", parts.header, parts.tensors);
  return error_of(ErrorCode::model, [&] { load_model(folder / "bad.lfmw"); });
}

TEST_CASE("WeightFile.TheTableOfThresholdsIsChecked") {
  Model model = test::random_model({}, 5);
  model.thresholds = some_thresholds();
  const nlohmann::json good = model_header(model).at("thresholds");
  const auto error_of_table = [&](const char* field, const nlohmann::json& value) {
    return error_after([&](Parts& p) {
      p.header["thresholds"] = good;
      p.header["thresholds"][nlohmann::json::json_pointer(field)] = value;
    });
  };
  for (const char* field : {"/view", "/reals", "/kinds", "/conditions", "/rows", "/rows/0/rate", "/rows/0/threshold",
                            "/rows/1/recall", "/rows/0/worst", "/rows/0/worst/name", "/rows/0/worst/called"}) {
    for (const nlohmann::json& other :
         {nlohmann::json(nullptr), nlohmann::json(-1), nlohmann::json("other"), nlohmann::json(1e300)}) {
      const std::string at(field);
      if (at.ends_with("name") && other.is_string()) continue;
      CHECK_THAT_MESSAGE(error_of_table(field, other), ContainsSubstring("bad.lfmw"), field << ' ' << other);
    }
  }
  CHECK_THAT(error_of_table("/rows/0/threshold", 1.5), ContainsSubstring("0 … 1"));
  CHECK_THAT(error_of_table("/rows/0/worst/called", 41), ContainsSubstring("more than there is"));
  CHECK_THAT(error_of_table("/rows", nlohmann::json::array_t(10000, good["rows"][0])), ContainsSubstring("too long"));
}

TEST_CASE("WeightFile.EveryHeaderFieldIsNeededAndChecked") {
  for (const char* field : {"/format", "/architecture", "/architecture/pooling", "/architecture/k", "/residual",
                            "/input", "/input/view", "/input/size", "/input/mean", "/input/std", "/threshold",
                            "/calibration", "/calibration/temperature", "/calibration/bias", "/name", "/provenance"}) {
    const nlohmann::json::json_pointer pointer(field);
    CHECK_THAT_MESSAGE(error_after([&](Parts& p) { p.header.at(pointer.parent_pointer()).erase(pointer.back()); }),
                       ContainsSubstring("bad.lfmw"), field);
    for (const nlohmann::json& other : {nlohmann::json(nullptr), nlohmann::json(-1), nlohmann::json("other"),
                                        nlohmann::json(1e300), nlohmann::json::array(), nlohmann::json::object()}) {
      if (pointer.back() == "name" && other.is_string()) continue;
      if (pointer.back() == "provenance" && other.is_object()) continue;
      if (pointer.back() == "bias" && other == -1) continue;
      CHECK_THAT_MESSAGE(error_after([&](Parts& p) { p.header[pointer] = other; }), ContainsSubstring("bad.lfmw"),
                         field << " = " << other);
    }
  }
}

TEST_CASE("WeightFile.TensorsMustBeThoseOfTheArchitecture") {
  CHECK_THAT(error_after([](Parts& p) { p.tensors.erase(p.tensors.begin() + 3); }),
             ContainsSubstring("\"block1.norm.shift\" is missing"));
  CHECK_THAT(error_after([](Parts& p) {
               p.tensors[0].shape = {3, 64, 2, 2};
             }),
             ContainsSubstring("[3, 64, 2, 2], expected F32 [64, 3, 2, 2]"));
  CHECK_THAT(error_after([](Parts& p) { p.tensors[1].type = ElementType::u8, p.tensors[1].shape = {256}; }),
             ContainsSubstring("U8"));
  CHECK_THAT(error_after([](Parts& p) { p.header["architecture"]["k"] = 8; }), ContainsSubstring("head.weight"));
  CHECK_THAT(error_after([](Parts& p) { p.tensors.push_back(p.tensors[0]), p.tensors.back().name = "more"; }),
             ContainsSubstring("\"more\""));
  CHECK_THAT(error_after([](Parts& p) { p.tensors.push_back(p.tensors[0]), p.tensors.back().name = "training.m"; }),
             ContainsSubstring("training.m"));
  static const std::vector<float> infinite(64, std::numeric_limits<float>::infinity());
  CHECK_THAT(error_after([](Parts& p) { p.tensors[1].bytes = std::as_bytes(std::span(infinite)); }),
             ContainsSubstring("block1.conv.bias") && ContainsSubstring("not finite"));
}

TEST_CASE("Checkpoint.RoundTripBesideTheModel") {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 6);
  const std::vector<float> moments(1000, 0.25f);
  const std::uint64_t step = 1234567890123;
  const std::vector<Tensor> tensors = {
      float_tensor("training.m", {10, 100}, moments),
      {"training.step", ElementType::u64, {}, std::as_bytes(std::span(&step, 1))},
      {"training.empty", ElementType::u8, {0}, {}},
  };
  save_checkpoint(model, {{"epoch", 3}}, tensors, folder / "last.ckpt");

  const Checkpoint checkpoint = load_checkpoint(folder / "last.ckpt");
  test::check_equal(checkpoint.model, model);
  CHECK(checkpoint.training() == nlohmann::json({{"epoch", 3}}));
  CHECK(to_floats(*checkpoint.file.find("training.m")) == moments);
  CHECK(checkpoint.tensor("training.step", ElementType::u64, 1).size() == 8u);
  CHECK(checkpoint.tensor("training.empty", ElementType::u8, 0).size() == 0u);
  CHECK_THAT(error_of(ErrorCode::model, [&] { checkpoint.tensor("training.v", ElementType::f32, 1000); }),
             ContainsSubstring("last.ckpt") && ContainsSubstring("training.v"));
  CHECK_THAT(error_of(ErrorCode::model, [&] { checkpoint.tensor("training.m", ElementType::f32, 999); }),
             ContainsSubstring("999"));
  test::check_equal(load_model(folder / "last.ckpt"), model);
}

TEST_CASE("Checkpoint.RefusesModelsAndUnprefixedTensors") {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 7);
  save_model(model, folder / "a.lfmw");
  CHECK_THAT(error_of(ErrorCode::model, [&] { load_checkpoint(folder / "a.lfmw"); }), ContainsSubstring("--init"));
  const std::vector<float> m(3);
  CHECK_THAT(error_of(ErrorCode::output,
                      [&] {
                        const std::vector<Tensor> tensors = {float_tensor("m", {3}, m)};
                        save_checkpoint(model, nlohmann::json::object(), tensors, folder / "b.ckpt");
                      }),
             ContainsSubstring("prefix"));
}

}  // namespace
}  // namespace lfm
