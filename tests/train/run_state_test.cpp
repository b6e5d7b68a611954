// Checkpoints that no run of this project wrote.
#include "src/train/run_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/model/expect_error.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"

namespace lfm::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Writes a checkpoint whose training state was changed by `change`, reads it, and returns the error's message, or "".
std::string error_after(const std::function<void(json&)>& change) {
  const TemporaryFolder folder;
  const Model model = random_model({}, 1);
  json training = {{"options", to_json(TrainOptions{})},
                   {"state", {{"step", 7}, {"epoch", 1}, {"epoch_step", 3}, {"epoch_loss", 0.5}, {"epoch_right", 9}, {"epoch_images", 10},
                              {"epochs_without_gain", 0}, {"seconds", 2.5}, {"data_fingerprint", 18446744073709551615u}}}};
  change(training);
  const std::vector<float> moments(parameter_table({}).trainable_floats);
  const std::vector<Tensor> tensors = {float_tensor("training.m", {moments.size()}, moments), float_tensor("training.v", {moments.size()}, moments)};
  save_checkpoint(model, training, tensors, folder / "last.lfmw");
  try {
    const SavedRun run = load_run(folder / "last.lfmw");
    EXPECT_EQ(run.state.step, 7u);
    EXPECT_EQ(run.state.data_fingerprint, 18446744073709551615u);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  return "";
}

TEST(SavedRun, IsReadAsItWasWritten) { EXPECT_EQ(error_after([](json&) {}), ""); }

// Numbers that the variables they go to can't hold are refused, not wrapped around.
TEST(SavedRun, RefusesNumbersThatDoNotFit) {
  for (const char* count : {"step", "epoch", "epoch_step", "epochs_without_gain", "data_fingerprint"}) {
    EXPECT_THAT(error_after([&](json& t) { t["state"][count] = -1; }), HasSubstr("training state")) << count;
  }
  for (const json& wrong : {json(1e300), json(0.5), json("7"), json()}) {
    EXPECT_THAT(error_after([&](json& t) { t["state"]["step"] = wrong; }), HasSubstr("training state")) << wrong;
  }
  for (const json& wrong : {json(0), json(4294967297), json(1e300)}) {
    EXPECT_THAT(error_after([&](json& t) { t["state"]["processes"] = wrong; }), HasSubstr("training state")) << wrong;
  }
  EXPECT_THAT(error_after([&](json& t) { t["options"]["batch"] = 4294967297; }), HasSubstr("training state"));
  EXPECT_THAT(error_after([&](json& t) { t["options"]["lr"] = "fast"; }), HasSubstr("training state"));
}

// Each number fits its variable, and no run can have counted them.
TEST(SavedRun, RefusesCountersThatContradictEachOther) {
  const json best = {{"epoch", 2}, {"value", 0.5}, {"loss", 0.5}};
  struct Counter {
    const char* name;
    json value;
  };
  const Counter wrong[] = {
      {"epoch_step", 8},   {"epoch_step", 18446744073709551615u}, {"epoch", 5}, {"epoch", 18446744073709551615u}, {"epochs_without_gain", 2},
      {"epoch_right", 11}, {"epoch_right", -1}, {"epoch_images", 0},          {"epoch_step", 0}, {"epoch_loss", -1},
      {"seconds", -1},     {"best", best}};
  for (const Counter& counter : wrong) {
    EXPECT_THAT(error_after([&](json& t) { t["state"][counter.name] = counter.value; }),
                AllOf(HasSubstr("contradict each other"), HasSubstr("--init")))
        << counter.name << " " << counter.value;
  }
  EXPECT_EQ(error_after([&](json& t) { t["state"]["best"] = {{"epoch", 1}, {"value", 0.5}, {"loss", 0.5}}; }), "");
}

TEST(SavedRun, RefusesOptionsOfAnotherArchitecture) {
  EXPECT_THAT(error_after([&](json& t) { t["options"]["k"] = 8; }), HasSubstr("another architecture"));
}

}  // namespace
}  // namespace lfm::test
