#include "src/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "src/engine/device.h"
#include "src/engine/network.h"
#include "src/model/weight_file.h"
#include "src/train/run_log.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

using testing::HasSubstr;

class Trainer : public ::testing::Test {
 protected:
  Trainer() {
    test::write_generated_set(folder_ / "train", {6, 56, 1});
    test::write_generated_set(folder_ / "val", {3, 56, 2});
  }

  TrainOptions options(const std::string& out) const {
    TrainOptions o;
    o.data = {folder_ / "train"};
    o.val = {folder_ / "val"};
    o.out = folder_ / out;
    o.device = "cpu";
    o.view = View::native;
    o.crop = 48;
    o.val_crop = 48;
    o.batch = 4;
    o.epochs = 2;  // of three steps
    o.adam.learning_rate = 1e-3f;
    return o;
  }

  SavedRun saved(const std::string& out) const { return load_run(folder_ / out / "last.lfmw"); }

  test::TemporaryFolder folder_;
};

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << what;
}

void expect_same_run(const SavedRun& a, const SavedRun& b) {
  expect_same_bits(a.model.values, b.model.values, "parameters");
  expect_same_bits(a.m, b.m, "first moments");
  expect_same_bits(a.v, b.v, "second moments");
  EXPECT_EQ(a.state.step, b.state.step);
  EXPECT_EQ(a.state.epoch, b.state.epoch);
  EXPECT_EQ(a.state.epoch_loss, b.state.epoch_loss);
}

/// Interrupts after so many steps.
TrainHooks interrupt_after(int steps) {
  TrainHooks hooks;
  hooks.interrupted = [left = steps]() mutable { return --left <= 0; };
  return hooks;
}

TEST_F(Trainer, SameSeedSameBitsWhateverTheThreads) {
  TrainOptions one = options("one"), three = options("three"), other = options("other");
  one.threads = 1;
  three.threads = 3;
  other.seed = 1;
  start_training(one, {});
  start_training(three, {});
  start_training(other, {});
  expect_same_run(saved("one"), saved("three"));
  EXPECT_NE(saved("one").model.values, saved("other").model.values);
}

TEST_F(Trainer, ResumedAfterEveryStepEqualsUninterrupted) {
  start_training(options("whole"), {});
  ASSERT_EQ(saved("whole").state.step, 6u);

  EXPECT_EQ(start_training(options("pieces"), interrupt_after(1)).end, TrainEnd::interrupted);
  TrainOutcome outcome;
  int resumes = 0;
  do {
    outcome = resume_training(folder_ / "pieces", {}, interrupt_after(1));
    ++resumes;
  } while (outcome.end == TrainEnd::interrupted);
  EXPECT_EQ(resumes, 5);
  expect_same_run(saved("pieces"), saved("whole"));
  expect_same_bits(load_model(folder_ / "pieces" / "best.lfmw").values, load_model(folder_ / "whole" / "best.lfmw").values, "best model");

  const RunLog whole(folder_ / "whole" / "log.jsonl", 6, 2), pieces(folder_ / "pieces" / "log.jsonl", 6, 2);
  ASSERT_EQ(whole.steps().size(), 6u);
  ASSERT_EQ(pieces.steps().size(), 6u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(whole.steps()[i].loss, pieces.steps()[i].loss) << "step " << i + 1;
  ASSERT_EQ(pieces.epochs().size(), 2u);
  EXPECT_EQ(whole.epochs()[1].validation->loss, pieces.epochs()[1].validation->loss);
}

TEST_F(Trainer, LongerRunContinuesAFinishedOne) {
  TrainOptions longer = options("longer");
  longer.epochs = 3;
  start_training(longer, {});
  start_training(options("grown"), {});
  resume_training(folder_ / "grown", {{"epochs", 3}}, {});
  expect_same_run(saved("grown"), saved("longer"));
}

TEST_F(Trainer, AccumulatedGradientsAreThoseOfTheWholeBatch) {
  const auto first_step = [&](int parts) {
    TrainOptions o = options("parts" + std::to_string(parts));
    o.max_steps = 1;
    o.accumulate = parts;
    start_training(o, {});
    return RunLog(o.out / "log.jsonl", 1, 1).steps().at(0);
  };
  const StepRecord whole = first_step(1), parts = first_step(3);  // of 1, 1 and 2 images
  // Batch norm sees smaller batches, so nothing is equal; but a part left out, or weighted as a batch of its own, shows.
  EXPECT_NE(parts.gradient_norm, whole.gradient_norm);
  EXPECT_NEAR(parts.gradient_norm / whole.gradient_norm, 1, 0.5);
  EXPECT_NEAR(parts.loss / whole.loss, 1, 0.3);
}

TEST_F(Trainer, FineTuningStartsFromTheGivenModel) {
  start_training(options("base"), {});
  TrainOptions fine = options("fine");
  fine.init = folder_ / "base" / "last.lfmw";
  fine.max_steps = 1;
  fine.adam.learning_rate = 1e-6f;
  fine.lr_min = 0;
  start_training(fine, {});
  const auto before = saved("base").model.values, after = saved("fine").model.values;
  const ParameterTable table = parameter_table({});
  for (std::size_t i = 0; i < table.trainable_floats; ++i) ASSERT_NEAR(before[i], after[i], 1.1e-6f + 1e-6f * std::abs(before[i]));

  fine.out = folder_ / "other_k";
  fine.architecture.k = 8;
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { start_training(fine, {}); }), HasSubstr("--k 16"));
}

TEST_F(Trainer, ModelsNameTheirDataNotItsPlace) {
  TrainOptions base = options("base"), fine = options("fine");
  base.max_steps = fine.max_steps = 1;
  start_training(base, {});
  fine.init = base.out / "best.lfmw";
  start_training(fine, {});
  for (const char* name : {"best.lfmw", "last.lfmw"}) {
    const std::string text = load_model(fine.out / name).provenance;
    EXPECT_THAT(text, testing::Not(HasSubstr(folder_.path().string()))) << name;
    const auto made = nlohmann::json::parse(text);
    EXPECT_EQ(made["data"], nlohmann::json::parse(R"([{"folder": "train", "reals": 6, "fakes": 6}])"));
    EXPECT_EQ(made["val"], nlohmann::json::parse(R"([{"folder": "val", "reals": 3, "fakes": 3}])"));
    EXPECT_EQ(made["options"]["init"], "best.lfmw");
    EXPECT_EQ(made["options"]["lr"], 1e-3);
  }
}

TEST_F(Trainer, AblationsTrain) {
  for (const char* name : {"average", "k4", "no_rbld", "no_rks", "rank_scale"}) {
    TrainOptions o = options(name);
    o.max_steps = 2;
    const std::string ablation = name;
    if (ablation == "average") o.architecture.pooling = Pooling::average;
    if (ablation == "k4") o.architecture.k = 4;
    if (ablation == "no_rbld") o.regularisation.rbld = false;
    if (ablation == "no_rks") o.regularisation.rks = false;
    if (ablation == "rank_scale") o.regularisation.rbld_scale = RbldScale::rank;
    EXPECT_EQ(start_training(o, {}).state.step, 2u) << name;
    EXPECT_EQ(load_model(o.out / "best.lfmw").architecture.k, ablation == "average" ? 1 : ablation == "k4" ? 4 : 16);
  }
}

TEST_F(Trainer, LearnsFromScratchWhatSeparatesHeldOutImages) {
  test::write_generated_set(folder_ / "many", {64, 64, 3});
  test::write_generated_set(folder_ / "held_out", {64, 64, 4});
  TrainOptions o = options("learns");
  o.data = {folder_ / "many"};
  o.val = {folder_ / "held_out"};
  o.batch = 8;
  o.epochs = 8;
  o.adam.learning_rate = 3e-4f;
  o.lr_step = 2;  // at a high rate the running statistics lag behind the weights
  o.lr_decay = 0.3f;
  start_training(o, {});
  const RunLog log(folder_ / "learns" / "log.jsonl", 1'000'000, 8);
  ASSERT_EQ(log.epochs().size(), 8u);
  const Metrics& held_out = log.epochs().back().validation->metrics;
  EXPECT_EQ(held_out.reals + held_out.fakes, 128u);
  EXPECT_GE(held_out.accuracy, 0.99);
  EXPECT_GE(held_out.ap, 0.99);
  EXPECT_FLOAT_EQ(static_cast<float>(log.steps().back().learning_rate), 3e-4f * 0.3f * 0.3f * 0.3f);
}

TEST_F(Trainer, StopsEarlyWithoutABetterModel) {
  TrainOptions o = options("early");
  o.patience = 2;
  o.epochs = 50;
  o.best_by = BestBy::loss;
  o.adam.learning_rate = 1e-30f;  // nothing is learnt: the loss only follows the running statistics up and down
  o.lr_min = 0;
  const TrainOutcome outcome = start_training(o, {});
  EXPECT_EQ(outcome.end, TrainEnd::stopped_early);
  EXPECT_EQ(outcome.state.epochs_without_gain, 2u);
  EXPECT_EQ(outcome.state.best->epoch + 2, outcome.state.epoch);
  EXPECT_EQ(resume_training(o.out, {}, {}).state.step, outcome.state.step);  // resuming doesn't run on
}

TEST_F(Trainer, DivergenceNamesTheStepAndTheLastGoodCheckpoint) {
  TrainOptions o = options("diverges");
  o.loss_limit = 0.01;  // exceeded by any first step
  const std::string message = test::error_of(ErrorCode::input, [&] { start_training(o, {}); });
  EXPECT_THAT(message, HasSubstr("step 1 "));
  EXPECT_THAT(message, HasSubstr("last.lfmw (step 0)"));
  EXPECT_EQ(saved("diverges").state.step, 0u);  // and it is still good

  o = options("overflows");
  o.adam.learning_rate = 1e30f;
  EXPECT_THAT(test::error_of(ErrorCode::input, [&] { start_training(o, {}); }), HasSubstr("diverged"));
  EXPECT_NO_THROW(saved("overflows"));
}

TEST_F(Trainer, RefusesPrecisionsThatTheDeviceLacks) {
  TrainOptions o = options("run");
  o.precision = Precision::bf16;
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { start_training(o, {}); }), HasSubstr("--precision bf16"));
}

#if defined(LFM_HAVE_EMULATION)
TEST_F(Trainer, ResumesInItsPrecision) {
  const auto in_bf16 = [&](const char* out) {
    TrainOptions o = options(out);
    o.device = "emulated";
    o.precision = Precision::bf16;
    o.val.clear();
    o.batch = 2;
    o.max_steps = 2;
    return o;
  };
  start_training(in_bf16("whole"), {});
  start_training(in_bf16("pieces"), interrupt_after(1));
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "pieces", {{"precision", "fp32"}}, {}); }), HasSubstr("--precision"));
  resume_training(folder_ / "pieces", {}, {});
  EXPECT_EQ(saved("pieces").options.precision, Precision::bf16);
  EXPECT_THAT(load_model(folder_ / "pieces" / "last.lfmw").provenance, HasSubstr("\"precision\":\"bf16\""));
  expect_same_run(saved("whole"), saved("pieces"));
}
#endif

TEST_F(Trainer, PicturesThatVanishEndTheRunWhichGoesOnWhenTheyAreBack) {
  const auto shown = [&](const std::string& out) {
    TrainOptions o = options(out);
    o.epochs = 12;
    return o;
  };
  start_training(shown("whole"), {});
  TrainHooks hooks;
  hooks.interrupted = [&, done = false]() mutable {
    if (!done) std::filesystem::rename(folder_ / "train", folder_ / "away");
    done = true;
    return false;
  };
  const std::string message = test::error_of(ErrorCode::input, [&] { start_training(shown("run"), hooks); });
  EXPECT_THAT(message, testing::AllOf(HasSubstr((folder_ / "train").string()), HasSubstr("No such file"), HasSubstr("--resume")));
  EXPECT_THAT(test::error_of(ErrorCode::input, [&] { resume_training(folder_ / "run", {}, {}); }), HasSubstr("not a folder"));
  std::filesystem::rename(folder_ / "away", folder_ / "train");
  resume_training(folder_ / "run", {}, {});
  expect_same_run(saved("run"), saved("whole"));
}

// As if a checkpoint had been changed: an epoch has three steps.
TEST_F(Trainer, RefusesCountersThatContradictTheData) {
  start_training(options("run"), interrupt_after(2));
  const std::filesystem::path last = folder_ / "run" / "last.lfmw";
  const SavedRun run = saved("run");
  const Tensor moments[] = {float_tensor("training.m", {run.m.size()}, run.m), float_tensor("training.v", {run.v.size()}, run.v)};
  nlohmann::json training = load_checkpoint(last).training();
  const auto save_counters = [&](int step, int epoch, int epoch_step) {
    training["state"].update({{"step", step}, {"epoch", epoch}, {"epoch_step", epoch_step}});
    save_checkpoint(run.model, training, moments, last);
  };
  constexpr int wrong[][3] = {{3, 0, 3}, {6, 1, 3}, {2, 0, 1}, {4, 2, 2}, {2, 1, 1}};
  for (const auto& [step, epoch, epoch_step] : wrong) {
    save_counters(step, epoch, epoch_step);
    const std::string message = test::error_of(ErrorCode::model, [&] { resume_training(folder_ / "run", {}, {}); });
    EXPECT_THAT(message, testing::AllOf(HasSubstr(last.string()), HasSubstr("contradict each other"), HasSubstr("--init"))) << step;
  }
  save_counters(2, 0, 2);
  EXPECT_EQ(resume_training(folder_ / "run", {}, {}).state.step, 6u);
}

TEST_F(Trainer, RefusesWhatWouldSpoilARun) {
  start_training(options("run"), interrupt_after(1));
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { start_training(options("run"), {}); }), HasSubstr("--resume"));
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "run", {{"batch", 8}}, {}); }), HasSubstr("--batch"));
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "none", {}, {}); }), HasSubstr("none"));

  std::filesystem::copy(folder_ / "train" / "0_real" / "0.ppm", folder_ / "train" / "0_real" / "extra.ppm");
  EXPECT_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "run", {}, {}); }), HasSubstr("data has changed"));

  std::filesystem::remove_all(folder_ / "train" / "1_fake");
  EXPECT_THAT(test::error_of(ErrorCode::input, [&] { start_training(options("one_sided"), {}); }), HasSubstr("fake"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "one_sided" / "last.lfmw"));
}

}  // namespace
}  // namespace lfm
