// NPR's and SAFE's networks as models: their table of stages, their state dicts in and out, their weight files.
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "src/model/architecture.h"
#include "src/model/fold.h"
#include "src/model/initialise.h"
#include "src/model/interchange.h"
#include "src/model/safetensors.h"
#include "src/model/stages.h"
#include "src/model/weight_file.h"
#include "tests/catch.h"
#include "tests/model/equal_models.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using test::error_of;

const std::filesystem::path kRivals = std::filesystem::path(test::kShared) / "fixtures" / "rivals";

TEST_CASE("Rivals.StagesFollowEachOtherAndNumberEveryParameterOnce") {
  const StageTable table = stages(kNprNetwork, 301, 203);
  CHECK(table[0].out.size == (MapSize{300, 202}));
  CHECK(stages(kSafeNetwork, 301, 203)[0].out.size == (MapSize{301, 203}));
  int next = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    INFO(table[i].name);
    CHECK(table[i].index == static_cast<int>(i));
    CHECK(table[i].parameters.first == next);
    next += table[i].parameters.count;
    if (i > 0) CHECK(table[i].in.size == table[i - 1].out.size);
    if (i > 0) CHECK(table[i].in.channels == table[i - 1].out.channels);
  }
  CHECK(next == kResnetTrainable);
  CHECK(table[1].out.size == (MapSize{75, 51}));
  CHECK(table[4].out.channels == 256);
  CHECK(map_size(kNprNetwork, 301, 203) == (MapSize{38, 26}));
  CHECK(feature_count(kSafeNetwork) == 512);
  CHECK(table.back().multiply_adds == 512);
}

// 1.44 M parameters and 2.3 G multiply-adds, as the paper counts them.
TEST_CASE("Rivals.HaveTheCostThatThePaperGives") {
  const ParameterTable table = parameter_table(kNprNetwork);
  std::size_t parameters = 0;
  for (int id = 0; id < table.trainable; ++id) parameters += table[id].count();
  CHECK(parameters == 1437761);
  std::int64_t multiply_adds = 0;
  for (const Stage& stage : stages(kNprNetwork, 256, 256)) multiply_adds += stage.multiply_adds;
  CHECK(multiply_adds > 2'200'000'000);
  CHECK(multiply_adds < 2'400'000'000);
  CHECK(table[trunk_weight(first_convolution(3) + kShortcut)].name == "layer2.0.downsample.0.weight");
  CHECK(table[trunk_variance(0)].reference_name == "bn1.running_var");
  CHECK(table[table.head_weight()].reference_name == "fc1.weight");
}

TEST_CASE("Rivals.WeightFilesAndStateDictsKeepEverything") {
  const test::TemporaryFolder folder;
  for (const Architecture& architecture : {kNprNetwork, kSafeNetwork}) {
    Model model = test::random_model(architecture, 3);
    model.view = View::native;
    model.threshold = 0.4f;
    for (const char* name : {"a.lfmw", "a.safetensors"}) {
      export_model(model, folder / name);
      test::check_equal(import_model(folder / name), model);
    }
  }
  Model other = test::random_model({Pooling::topk, 4, FrontEnd::npr, Trunk::resnet}, 4);  // published by nobody
  export_model(other, folder / "b.lfmw");
  test::check_equal(load_model(folder / "b.lfmw"), other);
  CHECK_THAT(error_of(ErrorCode::usage, [&] { export_model(other, folder / "b.safetensors"); }),
             ContainsSubstring("NPR's network with the residual npr_signed, and this model's is npr"));
}

TEST_CASE("Rivals.AreToldByNamesAndShapesWhateverThePrefix") {
  const test::TemporaryFolder folder;
  for (const Architecture& architecture : {kNprNetwork, kSafeNetwork}) {
    const Model model = test::random_model(architecture, 5);
    export_model(model, folder / "a.safetensors");
    TensorFile file = read_safetensors(folder / "a.safetensors");
    for (Tensor& tensor : file.tensors) tensor.name = "model.module." + tensor.name;
    file.tensors.push_back(file.tensors[0]);
    file.tensors.back().name = "optimizer.state.0.exp_avg";
    const Model found = model_from_state_dict(file.tensors, "x.pth");
    CHECK(found.architecture == architecture);
    CHECK(found.values == model.values);
    CHECK(found.view == (architecture.head == Head::softmax ? View::center : View::resize));
  }
}

TEST_CASE("Rivals.WhatIsWrongWithAStateDictIsToldByName") {
  const test::TemporaryFolder folder;
  export_model(test::random_model(kNprNetwork, 6), folder / "a.safetensors");
  const auto error = [&](const auto& spoil) {
    TensorFile file = read_safetensors(folder / "a.safetensors");
    for (Tensor& tensor : file.tensors) spoil(tensor);
    return error_of(ErrorCode::model, [&] { model_from_state_dict(file.tensors, "x.pth"); });
  };
  CHECK_THAT(error([](Tensor& t) {
               if (t.name == "fc1.weight") t.shape = {512, 1};
             }),
             ContainsSubstring("fc1.weight is [512, 1]") && ContainsSubstring("SAFE's [2, 512]"));
  CHECK_THAT(error([](Tensor& t) {
               if (t.name == "layer1.1.conv2.weight") t.shape = {64, 576};
             }),
             ContainsSubstring("not a state dict of NPR's network") &&
                 ContainsSubstring("layer1.1.conv2.weight is F32 [64, 576], expected [64, 64, 3, 3]"));
  CHECK_THAT(
      error([](Tensor& t) {
        if (t.name == "layer2.3.bn3.bias") t.name = "layer3.0.bn3.bias";
      }),
      ContainsSubstring("missing (1): layer2.3.bn3.bias") && ContainsSubstring("unexpected (1): layer3.0.bn3.bias"));
}

TEST_CASE("Rivals.TheSoftmaxKeepsBothRowsAndItsLogitIsTheirDifference") {
  const Model model = test::random_model(kSafeNetwork, 7);
  const ParameterTable table = parameter_table(kSafeNetwork);
  const LinearHead head = linear_head(kSafeNetwork, model.values);
  const auto weight = parameter(std::span<const float>(model.values), table, table.head_weight());
  REQUIRE(weight.size() == 1024);
  REQUIRE(head.weight.size() == 512);
  CHECK(head.weight[3] == double{weight[512 + 3]} - double{weight[3]});
}

TEST_CASE("Rivals.UnlikelyCombinationsAreRefused") {
  for (const Architecture& architecture :
       {Architecture{Pooling::topk, 16, FrontEnd::npr, Trunk::snet, Head::softmax},
        Architecture{Pooling::topk, 16, FrontEnd::npr, Trunk::snet, Head::linear, Normalisation::unit},
        Architecture{Pooling::average, 1, FrontEnd::none, Trunk::resnet, Head::linear, Normalisation::unit}}) {
    Model model;
    model.architecture = architecture;
    model.values = initial_values(architecture, 1);
    CHECK_THROWS(check_model(model, "x"));
  }
}

TEST_CASE("Rivals.StateDictsSurviveTheRoundTripByteForByte") {
  if (!std::filesystem::exists(kRivals)) SKIP(kRivals << " is not here");
  const test::TemporaryFolder folder;
  for (const auto& [name, architecture] :
       {std::pair{"npr_random.safetensors", kNprNetwork}, {"safe_random.safetensors", kSafeNetwork}}) {
    const Model model = import_model(kRivals / name);
    CHECK(model.architecture == architecture);
    export_model(model, folder / "a.lfmw");
    export_model(import_model(folder / "a.lfmw"), folder / "b.safetensors");
    const TensorFile before = read_safetensors(kRivals / name), after = read_safetensors(folder / "b.safetensors");
    REQUIRE(before.tensors.size() == after.tensors.size());
    for (const Tensor& tensor : before.tensors) {
      const Tensor* found = after.find(tensor.name);
      REQUIRE(found != nullptr);
      CHECK(found->shape == tensor.shape);
      CHECK_MESSAGE(std::ranges::equal(found->bytes, tensor.bytes), tensor.name);
    }
  }
}

}  // namespace
}  // namespace lfm
