#include "src/model/interchange.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "src/model/architecture.h"
#include "src/model/safetensors.h"
#include "tests/catch.h"
#include "tests/model/equal_models.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

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

TEST_CASE("Interchange.SafetensorsKeepsEverything") {
  const test::TemporaryFolder folder;
  for (const Architecture architecture :
       {Architecture{}, Architecture{Pooling::topk, 1}, Architecture{Pooling::average, 1}}) {
    Model model = test::random_model(architecture, 1);
    model.view = View::native;
    model.threshold = 0.31f;
    model.calibration = {2.5f, 0.125f};
    model.name = "näme";
    model.provenance = R"({"num_batches_tracked":[1,2,3,4],"seed":7})";
    export_model(model, folder / "a.safetensors");
    const Model back = import_model(folder / "a.safetensors");
    test::check_equal(back, model);
  }
}

TEST_CASE("Interchange.TellsFormatsByContent") {
  const test::TemporaryFolder folder;
  const Model model = test::random_model({}, 2);
  export_model(model, folder / "a.lfmw");
  export_model(model, folder / "a.safetensors");
  std::filesystem::rename(folder / "a.lfmw", folder / "b.pth");
  std::filesystem::rename(folder / "a.safetensors", folder / "b.lfmw");
  CHECK(import_model(folder / "b.pth").values == model.values);
  CHECK(import_model(folder / "b.lfmw").values == model.values);
  CHECK_THAT(error_of(ErrorCode::model, [&] { load_model(folder / "b.lfmw"); }), ContainsSubstring("lfm-cuda convert"));
  CHECK_THAT(error_of(ErrorCode::usage, [&] { export_model(model, folder / "c.pth"); }),
             ContainsSubstring(".safetensors"));
  test::write_bytes(folder / "text", std::as_bytes(std::span("GIF89a, not a model")));
  test::write_bytes(folder / "empty", {});
  CHECK_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "text"); }), ContainsSubstring("neither"));
  CHECK_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "empty"); }), ContainsSubstring("is empty"));
  CHECK_THAT(error_of(ErrorCode::model, [&] { import_model(folder / "none"); }), ContainsSubstring("No such file"));
  CHECK_THAT(error_of(ErrorCode::model, [&] { import_model(folder.path()); }), ContainsSubstring("folder"));
}

TEST_CASE("Interchange.ListsEveryTensorThatIsWrong") {
  StateDict dict(test::random_model({}, 3));
  dict.erase("cnn.layer2.0.bias");
  dict.erase("covn1_1.weight");
  dict["cnn.layer1.0.weight"].shape = {64, 12};
  dict["fc1.bias"].name = "fc2.bias";
  CHECK_THAT(dict.error(), ContainsSubstring("dict.pth") && ContainsSubstring("missing (3)") &&
                               ContainsSubstring("cnn.layer2.0.bias [128]") &&
                               ContainsSubstring("covn1_1.weight [64, 512, 1, 1]") &&
                               ContainsSubstring("unexpected (1)") && ContainsSubstring("fc2.bias") &&
                               ContainsSubstring("another shape or type (1)") &&
                               ContainsSubstring("F32 [64, 12], expected [64, 3, 2, 2]"));
}

TEST_CASE("Interchange.KFollowsFromTheHead") {
  CHECK(model_from_state_dict(StateDict(test::random_model({Pooling::topk, 5}, 4)).file.tensors, "").architecture.k ==
        5);
  StateDict dict(test::random_model({}, 4));
  dict["fc1.weight"].shape = {1, 1000};
  CHECK_THAT(dict.error(), ContainsSubstring("[1, 1000]"));
  dict.erase("fc1.weight");
  CHECK_THAT(dict.error(), ContainsSubstring("fc1.weight"));
}

TEST_CASE("Interchange.RefusesMetadataOfAnotherHead") {
  StateDict dict(test::random_model({Pooling::topk, 16}, 3));
  const StateDict other(test::random_model({Pooling::topk, 1}, 3));
  write_safetensors(dict.folder / "b.safetensors", dict.file.tensors, other.file.metadata);
  CHECK_THAT(error_of(ErrorCode::model, [&] { import_model(dict.folder / "b.safetensors"); }),
             ContainsSubstring("b.safetensors: its metadata says k = 1, its tensors k = 16; export it again"));
}

TEST_CASE("Interchange.StripsAnyPrefixAndLeavesOtherTensorsAlone") {
  const Model model = test::random_model({}, 5);
  StateDict dict(model);
  for (Tensor& tensor : dict.file.tensors) tensor.name = "state_dict.module." + tensor.name;
  dict.file.tensors.push_back(dict.file.tensors[0]);
  dict.file.tensors.back().name = "optimizer.0.exp_avg";
  CHECK(model_from_state_dict(dict.file.tensors, "").values == model.values);
  dict.file.tensors.back().name = "ema.fc1.weight";  // no whole model
  CHECK(model_from_state_dict(dict.file.tensors, "").values == model.values);
}

TEST_CASE("Interchange.OfSeveralStateDictsThePrefixChooses") {
  const Model model = test::random_model({}, 5), average = test::random_model({}, 6);
  StateDict dict(model);
  const StateDict other(average);
  for (Tensor& tensor : dict.file.tensors) tensor.name = "model." + tensor.name;
  for (Tensor tensor : other.file.tensors) {
    tensor.name = "model.ema." + tensor.name;
    dict.file.tensors.push_back(tensor);
  }
  CHECK_THAT(dict.error(), ContainsSubstring("holds 2 state dicts; choose one by --prefix") &&
                               ContainsSubstring("\"model.\" (27 of 27 parameters)") &&
                               ContainsSubstring("\"model.ema.\" (27 of 27 parameters)"));
  for (const char* prefix : {"model", "model."})
    CHECK(model_from_state_dict(dict.file.tensors, "", prefix).values == model.values);
  for (const char* prefix : {"model.ema", "model.ema."})
    CHECK(model_from_state_dict(dict.file.tensors, "", prefix).values == average.values);
  CHECK_THAT(error_of(ErrorCode::model, [&] { model_from_state_dict(dict.file.tensors, "", "mod"); }),
             ContainsSubstring("prefix \"mod\"") && ContainsSubstring("\"model.ema.\""));

  write_safetensors(dict.folder / "b.safetensors", dict.file.tensors, {});
  CHECK(import_model(dict.folder / "b.safetensors", "model.ema").values == average.values);
  export_model(model, dict.folder / "b.lfmw");
  CHECK_THAT(error_of(ErrorCode::usage, [&] { import_model(dict.folder / "b.lfmw", "model"); }),
             ContainsSubstring("--prefix"));

  // The names of one without a prefix don't include the others'.
  for (Tensor& tensor : dict.file.tensors) tensor.name = tensor.name.substr(std::string_view("model.").size());
  CHECK(model_from_state_dict(dict.file.tensors, "", "").values == model.values);
}

TEST_CASE("Interchange.FixedConvolutionsMayBeMissingButNotDifferent") {
  const Model model = test::random_model({}, 6);
  for (const char* name : {"downsample_conv.weight", "upsample_conv.weight"}) {
    StateDict dict(model);
    std::vector<float> values = to_floats(dict[name]);
    values[1] += 0.5f;
    dict[name].bytes = std::as_bytes(std::span(values));
    CHECK_THAT(dict.error(), ContainsSubstring(name));
    dict.erase(name);
    CHECK(model_from_state_dict(dict.file.tensors, "").values == model.values);
  }
}

TEST_CASE("Interchange.AcceptsOtherFloatTypesAndRefusesIntegers") {
  StateDict dict(test::random_model({}, 7));
  const std::vector<double> wide = {0.1};
  dict["fc1.bias"].type = ElementType::f64;
  dict["fc1.bias"].bytes = std::as_bytes(std::span(wide));
  const Model model = model_from_state_dict(dict.file.tensors, "");
  CHECK(model.values[parameter_table({})[kHeadBias].offset] == 0.1f);
  dict["fc1.bias"].type = ElementType::i64;
  CHECK_THAT(dict.error(), ContainsSubstring("fc1.bias is I64") && !ContainsSubstring("missing"));
}

TEST_CASE("Interchange.ReferenceWeightsSurviveTheRoundTripByteForByte") {
  if (!std::filesystem::exists(kReference)) SKIP(kReference << " is not here");
  const test::TemporaryFolder folder;
  const Model model = import_model(kReference);
  CHECK(model.architecture == Architecture{});
  CHECK_THAT(model.provenance, ContainsSubstring("lfm_official.safetensors"));
  export_model(model, folder / "a.lfmw");
  export_model(import_model(folder / "a.lfmw"), folder / "b.safetensors");

  const TensorFile before = read_safetensors(kReference), after = read_safetensors(folder / "b.safetensors");
  REQUIRE(before.tensors.size() == after.tensors.size());
  for (std::size_t i = 0; i < before.tensors.size(); ++i) {
    CHECK(before.tensors[i].name == after.tensors[i].name);
    CHECK(before.tensors[i].type == after.tensors[i].type);
    CHECK(before.tensors[i].shape == after.tensors[i].shape);
    CHECK_MESSAGE(std::ranges::equal(before.tensors[i].bytes, after.tensors[i].bytes), before.tensors[i].name);
  }
}

}  // namespace
}  // namespace lfm
