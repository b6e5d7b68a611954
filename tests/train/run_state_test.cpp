// Checkpoints that no run of this project wrote.
#include "src/train/run_state.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

using nlohmann::json;

/// Writes a checkpoint whose training state was changed by `change`, reads it, and returns the error's message, or "".
std::string error_after(const std::function<void(json&)>& change) {
  const TemporaryFolder folder;
  const Model model = random_model({}, 1);
  json training = {{"options", to_json(TrainOptions{})},
                   {"state",
                    {{"step", 7},
                     {"epoch", 1},
                     {"epoch_step", 3},
                     {"epoch_loss", 0.5},
                     {"epoch_right", 9},
                     {"epoch_images", 10},
                     {"epochs_without_gain", 0},
                     {"seconds", 2.5},
                     {"data_fingerprint", 18446744073709551615u}}}};
  change(training);
  const std::vector<float> moments(parameter_table({}).trainable_floats);
  const std::vector<Tensor> tensors = {float_tensor("training.m", {moments.size()}, moments),
                                       float_tensor("training.v", {moments.size()}, moments)};
  save_checkpoint(model, training, tensors, folder / "last.lfmw");
  try {
    const SavedRun run = load_run(folder / "last.lfmw");
    CHECK(run.state.step == 7u);
    CHECK(run.state.data_fingerprint == 18446744073709551615u);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::model);
    return error.what();
  }
  return "";
}

TEST_CASE("SavedRun.IsReadAsItWasWritten") {
  CHECK(error_after([](json&) {}) == "");
}

// Numbers that the variables they go to can't hold are refused, not wrapped around.
TEST_CASE("SavedRun.RefusesNumbersThatDoNotFit") {
  for (const char* count : {"step", "epoch", "epoch_step", "epochs_without_gain", "data_fingerprint"}) {
    CHECK_THAT_MESSAGE(error_after([&](json& t) { t["state"][count] = -1; }), ContainsSubstring("training state"),
                       count);
  }
  for (const json& wrong : {json(1e300), json(0.5), json("7"), json()}) {
    CHECK_THAT_MESSAGE(error_after([&](json& t) { t["state"]["step"] = wrong; }), ContainsSubstring("training state"),
                       wrong);
  }
  for (const json& wrong : {json(0), json(4294967297), json(1e300)}) {
    CHECK_THAT_MESSAGE(error_after([&](json& t) { t["state"]["processes"] = wrong; }),
                       ContainsSubstring("training state"), wrong);
  }
  CHECK_THAT(error_after([&](json& t) { t["options"]["batch"] = 4294967297; }), ContainsSubstring("training state"));
  CHECK_THAT(error_after([&](json& t) { t["options"]["lr"] = "fast"; }), ContainsSubstring("training state"));
}

// Each number fits its variable, and no run can have counted them.
TEST_CASE("SavedRun.RefusesCountersThatContradictEachOther") {
  const json best = {{"epoch", 2}, {"value", 0.5}, {"loss", 0.5}};
  struct Counter {
    const char* name;
    json value;
  };
  const Counter wrong[] = {{"epoch_step", 8},
                           {"epoch_step", 18446744073709551615u},
                           {"epoch", 5},
                           {"epoch", 18446744073709551615u},
                           {"epochs_without_gain", 2},
                           {"epoch_right", 11},
                           {"epoch_right", -1},
                           {"epoch_images", 0},
                           {"epoch_step", 0},
                           {"epoch_loss", -1},
                           {"seconds", -1},
                           {"best", best}};
  for (const Counter& counter : wrong) {
    CHECK_THAT_MESSAGE(error_after([&](json& t) { t["state"][counter.name] = counter.value; }),
                       ContainsSubstring("contradict each other") && ContainsSubstring("--init"),
                       counter.name << " " << counter.value);
  }
  CHECK(error_after([&](json& t) { t["state"]["best"] = {{"epoch", 1}, {"value", 0.5}, {"loss", 0.5}}; }) == "");
}

TEST_CASE("SavedRun.RefusesOptionsOfAnotherArchitecture") {
  CHECK_THAT(error_after([&](json& t) { t["options"]["k"] = 8; }), ContainsSubstring("another architecture"));
}

}  // namespace
}  // namespace lfm::test
