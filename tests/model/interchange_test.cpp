#include "src/model/interchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "src/model/architecture.h"
#include "src/model/safetensors.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using test::error_of;

const std::filesystem::path kReference = std::filesystem::path(test::kShared) / "fixtures" / "lfm_official.safetensors";

/// A model's state dict as export_model writes it, to be spoiled.
struct StateDict {
  explicit StateDict(const Model& model) {
    export_model(model, folder / "a.safetensors");
    file = read_safetensors(folder / "a.safetensors");
  }
  Tensor& operator[](std::string_view name) {
    return *std::find_if(file.tensors.begin(), file.tensors.end(), [&](const Tensor& t) { return t.name == name; });
  }
  void erase(std::string_view name) {
    std::erase_if(file.tensors, [&](const Tensor& t) { return t.name == name; });
  }
  std::string error() const {
    return error_of(ErrorCode::model, [&] { model_from_state_dict(file.tensors, "dict.pth"); });
  }
  test::TemporaryFolder folder;
  TensorFile file;
};

TEST(Interchange, SafetensorsKeepsEverything) {
  const test::TemporaryFolder folder;
  for (const Architecture architecture : {Architecture{}, Architecture{Pooling::topk, 1}, Architecture{Pooling::average, 1}}) {
    Model model = test::random_model(architecture, 1);
    model.view = View::native;
    model.threshold = 0.31f;
    model.calibration = {2.5f, 0.125f};
    model.name = "näme";
    model.provenance = R"({"num_batches_tracked":[1,2,3,4],"seed":7})";
    export_model(model, folder / "a.safetensors");
    const Model back = import_model(folder / "a.safetensors");
    EXPECT_EQ(back.architecture, model.architecture);
    EXPECT_EQ(back.values, model.values);
    EXPECT_EQ(back.view, model.view);
    EXPECT_EQ(back.threshold, model.threshold);
    EXPECT_EQ(back.calibration.temperature, model.calibration.temperature);
    EXPECT_EQ(back.calibration.bias, model.calibration.bias);
    EXPECT_EQ(back.name, model.name);
    EXPECT_EQ(back.provenance, model.provenance);
  }
}

TEST(Interchange, TellsFormatsByContent) {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 2);
  export_model(model, folder / "a.lfmw");
  export_model(model, folder / "a.safetensors");
  std::filesystem::rename(folder / "a.lfmw", folder / "b.pth");
  std::filesystem::rename(folder / "a.safetensors", folder / "b.lfmw");
  EXPECT_EQ(import_model(folder / "b.pth").values, model.values);
  EXPECT_EQ(import_model(folder / "b.lfmw").values, model.values);
  EXPECT_THAT(error_of(ErrorCode::model, [&] { load_model(folder / "b.lfmw"); }), HasSubstr("lfm-cuda convert"));
  EXPECT_THAT(error_of(ErrorCode::usage, [&] { export_model(model, folder / "c.pth"); }), HasSubstr(".safetensors"));
  test::write_bytes(folder / "text", std::as_bytes(std::span("GIF89a, not a model")));
  test::write_bytes(folder / "empty", {});
  EXPECT_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "text"); }), HasSubstr("neither"));
  EXPECT_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "empty"); }), HasSubstr("is empty"));
  EXPECT_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ErrorCode::model, [&] { import_model(folder.path()); }), HasSubstr("folder"));
}

TEST(Interchange, ListsEveryTensorThatIsWrong) {
  StateDict dict(test::random_model({}, 3));
  dict.erase("cnn.layer2.0.bias");
  dict.erase("covn1_1.weight");
  dict["cnn.layer1.0.weight"].shape = {64, 12};
  dict["fc1.bias"].name = "fc2.bias";
  EXPECT_THAT(dict.error(), AllOf(HasSubstr("dict.pth"), HasSubstr("missing (3)"), HasSubstr("cnn.layer2.0.bias [128]"),
                                  HasSubstr("covn1_1.weight [64, 512, 1, 1]"), HasSubstr("unexpected (1)"), HasSubstr("fc2.bias"),
                                  HasSubstr("another shape or type (1)"), HasSubstr("F32 [64, 12], expected [64, 3, 2, 2]")));
}

TEST(Interchange, KFollowsFromTheHead) {
  EXPECT_EQ(model_from_state_dict(StateDict(test::random_model({Pooling::topk, 5}, 4)).file.tensors, "").architecture.k, 5);
  StateDict dict(test::random_model({}, 4));
  dict["fc1.weight"].shape = {1, 1000};
  EXPECT_THAT(dict.error(), HasSubstr("[1, 1000]"));
  dict.erase("fc1.weight");
  EXPECT_THAT(dict.error(), HasSubstr("fc1.weight"));
}

TEST(Interchange, RefusesMetadataOfAnotherHead) {
  StateDict dict(test::random_model({Pooling::topk, 16}, 3));
  const StateDict other(test::random_model({Pooling::topk, 1}, 3));
  write_safetensors(dict.folder / "b.safetensors", dict.file.tensors, other.file.metadata);
  EXPECT_THAT(error_of(ErrorCode::model, [&] { import_model(dict.folder / "b.safetensors"); }),
              HasSubstr("b.safetensors: its metadata says k = 1, its tensors k = 16; export it again"));
}

TEST(Interchange, StripsAnyPrefixAndLeavesOtherTensorsAlone) {
  const Model model = test::random_model({}, 5);
  StateDict dict(model);
  for (Tensor& tensor : dict.file.tensors) tensor.name = "state_dict.module." + tensor.name;
  dict.file.tensors.push_back(dict.file.tensors[0]);
  dict.file.tensors.back().name = "optimizer.0.exp_avg";
  EXPECT_EQ(model_from_state_dict(dict.file.tensors, "").values, model.values);
  dict.file.tensors.back().name = "ema.fc1.weight";  // no whole model
  EXPECT_EQ(model_from_state_dict(dict.file.tensors, "").values, model.values);
}

TEST(Interchange, OfSeveralStateDictsThePrefixChooses) {
  const Model model = test::random_model({}, 5), average = test::random_model({}, 6);
  StateDict dict(model);
  const StateDict other(average);
  for (Tensor& tensor : dict.file.tensors) tensor.name = "model." + tensor.name;
  for (Tensor tensor : other.file.tensors) {
    tensor.name = "model.ema." + tensor.name;
    dict.file.tensors.push_back(tensor);
  }
  EXPECT_THAT(dict.error(), AllOf(HasSubstr("holds 2 state dicts; choose one by --prefix"), HasSubstr("\"model.\" (27 of 27 parameters)"),
                                  HasSubstr("\"model.ema.\" (27 of 27 parameters)")));
  for (const char* prefix : {"model", "model."}) EXPECT_EQ(model_from_state_dict(dict.file.tensors, "", prefix).values, model.values);
  for (const char* prefix : {"model.ema", "model.ema."}) EXPECT_EQ(model_from_state_dict(dict.file.tensors, "", prefix).values, average.values);
  EXPECT_THAT(error_of(ErrorCode::model, [&] { model_from_state_dict(dict.file.tensors, "", "mod"); }),
              AllOf(HasSubstr("prefix \"mod\""), HasSubstr("\"model.ema.\"")));

  write_safetensors(dict.folder / "b.safetensors", dict.file.tensors, {});
  EXPECT_EQ(import_model(dict.folder / "b.safetensors", "model.ema").values, average.values);
  export_model(model, dict.folder / "b.lfmw");
  EXPECT_THAT(error_of(ErrorCode::usage, [&] { import_model(dict.folder / "b.lfmw", "model"); }), HasSubstr("--prefix"));

  // The names of one without a prefix don't include the others'.
  for (Tensor& tensor : dict.file.tensors) tensor.name = tensor.name.substr(std::string_view("model.").size());
  EXPECT_EQ(model_from_state_dict(dict.file.tensors, "", "").values, model.values);
}

TEST(Interchange, FixedConvolutionsMayBeMissingButNotDifferent) {
  const Model model = test::random_model({}, 6);
  for (const char* name : {"downsample_conv.weight", "upsample_conv.weight"}) {
    StateDict dict(model);
    std::vector<float> values = to_floats(dict[name]);
    values[1] += 0.5f;
    dict[name].bytes = std::as_bytes(std::span(values));
    EXPECT_THAT(dict.error(), HasSubstr(name));
    dict.erase(name);
    EXPECT_EQ(model_from_state_dict(dict.file.tensors, "").values, model.values);
  }
}

TEST(Interchange, AcceptsOtherFloatTypesAndRefusesIntegers) {
  StateDict dict(test::random_model({}, 7));
  const std::vector<double> wide = {0.1};
  dict["fc1.bias"].type = ElementType::f64;
  dict["fc1.bias"].bytes = std::as_bytes(std::span(wide));
  const Model model = model_from_state_dict(dict.file.tensors, "");
  EXPECT_EQ(model.values[parameter_table({})[kHeadBias].offset], 0.1f);
  dict["fc1.bias"].type = ElementType::i64;
  EXPECT_THAT(dict.error(), AllOf(HasSubstr("fc1.bias is I64"), Not(HasSubstr("missing"))));
}

TEST(Interchange, ReferenceWeightsSurviveTheRoundTripByteForByte) {
  if (!std::filesystem::exists(kReference)) GTEST_SKIP() << kReference << " is not here";
  const test::TemporaryFolder folder;
  const Model model = import_model(kReference);
  EXPECT_EQ(model.architecture, Architecture{});
  EXPECT_THAT(model.provenance, HasSubstr("lfm_official.safetensors"));
  export_model(model, folder / "a.lfmw");
  export_model(import_model(folder / "a.lfmw"), folder / "b.safetensors");

  const TensorFile before = read_safetensors(kReference), after = read_safetensors(folder / "b.safetensors");
  ASSERT_EQ(before.tensors.size(), after.tensors.size());
  for (std::size_t i = 0; i < before.tensors.size(); ++i) {
    EXPECT_EQ(before.tensors[i].name, after.tensors[i].name);
    EXPECT_EQ(before.tensors[i].type, after.tensors[i].type);
    EXPECT_EQ(before.tensors[i].shape, after.tensors[i].shape);
    EXPECT_TRUE(std::ranges::equal(before.tensors[i].bytes, after.tensors[i].bytes)) << before.tensors[i].name;
  }
}

}  // namespace
}  // namespace lfm
