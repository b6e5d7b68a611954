#include "src/train/trainer.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "src/engine/device.h"
#include "src/engine/engine.h"
#include "src/engine/network.h"
#include "src/model/weight_file.h"
#include "src/train/run_log.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

class Trainer {
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
  REQUIRE_MESSAGE(a.size() == b.size(), what);
  CHECK_MESSAGE(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0, what);
}

void expect_same_run(const SavedRun& a, const SavedRun& b) {
  expect_same_bits(a.model.values, b.model.values, "parameters");
  expect_same_bits(a.m, b.m, "first moments");
  expect_same_bits(a.v, b.v, "second moments");
  CHECK(a.state.step == b.state.step);
  CHECK(a.state.epoch == b.state.epoch);
  CHECK(a.state.epoch_loss == b.state.epoch_loss);
}

/// Interrupts after so many steps.
TrainHooks interrupt_after(int steps) {
  TrainHooks hooks;
  hooks.interrupted = [left = steps]() mutable { return --left <= 0; };
  return hooks;
}

TEST_CASE_METHOD(Trainer, "Trainer.SameSeedSameBitsWhateverTheThreads") {
  TrainOptions one = options("one"), three = options("three"), other = options("other");
  one.threads = 1;
  three.threads = 3;
  other.seed = 1;
  start_training(one, {});
  start_training(three, {});
  start_training(other, {});
  expect_same_run(saved("one"), saved("three"));
  CHECK(saved("one").model.values != saved("other").model.values);
}

TEST_CASE_METHOD(Trainer, "Trainer.ResumedAfterEveryStepEqualsUninterrupted") {
  start_training(options("whole"), {});
  REQUIRE(saved("whole").state.step == 6u);

  CHECK(start_training(options("pieces"), interrupt_after(1)).end == TrainEnd::interrupted);
  TrainOutcome outcome;
  int resumes = 0;
  do {
    outcome = resume_training(folder_ / "pieces", {}, interrupt_after(1));
    ++resumes;
  } while (outcome.end == TrainEnd::interrupted);
  CHECK(resumes == 5);
  expect_same_run(saved("pieces"), saved("whole"));
  expect_same_bits(load_model(folder_ / "pieces" / "best.lfmw").values,
                   load_model(folder_ / "whole" / "best.lfmw").values, "best model");

  const RunLog whole(folder_ / "whole" / "log.jsonl", 6, 2), pieces(folder_ / "pieces" / "log.jsonl", 6, 2);
  REQUIRE(whole.steps().size() == 6u);
  REQUIRE(pieces.steps().size() == 6u);
  for (int i = 0; i < 6; ++i) CHECK_MESSAGE(whole.steps()[i].loss == pieces.steps()[i].loss, "step " << i + 1);
  REQUIRE(pieces.epochs().size() == 2u);
  CHECK(whole.epochs()[1].validation->loss == pieces.epochs()[1].validation->loss);
}

// NPR's network and SAFE's: what they bring is drawn and kept as LFM's is.
TEST_CASE_METHOD(Trainer, "Trainer.RivalsResumeBitForBit") {
  for (const Network network : {Network::npr, Network::safe}) {
    const std::string name(word_of(network));
    const auto rival = [&](const std::string& out, int threads) {
      TrainOptions o = network_defaults(network);
      const TrainOptions small = options(out);
      o.data = small.data;
      o.val = small.val;
      o.out = small.out;
      o.device = "cpu";
      o.view = View::native;
      o.crop = o.val_crop = 48;
      o.batch = 4;
      o.max_steps = 3;
      o.threads = threads;
      return o;
    };
    start_training(rival(name, 1), {});
    CHECK(start_training(rival(name + "-pieces", 2), interrupt_after(2)).end == TrainEnd::interrupted);
    resume_training(folder_ / (name + "-pieces"), {}, {});
    expect_same_run(saved(name + "-pieces"), saved(name));
    const Model best = load_model(folder_ / name / "best.lfmw");
    CHECK(best.architecture == (network == Network::npr ? kNprNetwork : kSafeNetwork));
    CHECK_THAT(best.provenance, ContainsSubstring("\"network\":\"" + name + "\""));
  }
}

TEST_CASE_METHOD(Trainer, "Trainer.LongerRunContinuesAFinishedOne") {
  TrainOptions longer = options("longer");
  longer.epochs = 3;
  start_training(longer, {});
  start_training(options("grown"), {});
  resume_training(folder_ / "grown", {{"epochs", 3}}, {});
  expect_same_run(saved("grown"), saved("longer"));
}

TEST_CASE_METHOD(Trainer, "Trainer.AccumulatedGradientsAreThoseOfTheWholeBatch") {
  const auto first_step = [&](int parts) {
    TrainOptions o = options("parts" + std::to_string(parts));
    o.max_steps = 1;
    o.accumulate = parts;
    start_training(o, {});
    return RunLog(o.out / "log.jsonl", 1, 1).steps().at(0);
  };
  const StepRecord whole = first_step(1), parts = first_step(3);  // of 1, 1 and 2 images
  // Batch norm sees smaller batches, so nothing is equal; but a part left out, or weighted as a batch of its own,
  // shows.
  CHECK(parts.gradient_norm != whole.gradient_norm);
  CHECK_THAT(parts.gradient_norm / whole.gradient_norm, WithinAbs(1, 0.5));
  CHECK_THAT(parts.loss / whole.loss, WithinAbs(1, 0.3));
}

TEST_CASE_METHOD(Trainer, "Trainer.FineTuningStartsFromTheGivenModel") {
  start_training(options("base"), {});
  TrainOptions fine = options("fine");
  fine.init = folder_ / "base" / "last.lfmw";
  fine.max_steps = 1;
  fine.adam.learning_rate = 1e-6f;
  fine.lr_min = 0;
  start_training(fine, {});
  const auto before = saved("base").model.values, after = saved("fine").model.values;
  const ParameterTable table = parameter_table({});
  for (std::size_t i = 0; i < table.trainable_floats; ++i) {
    QUICK_REQUIRE(std::abs(double{before[i]} - after[i]) <= 1.1e-6f + 1e-6f * std::abs(before[i]), i);
  }

  fine.out = folder_ / "other_k";
  fine.architecture.k = 8;
  CHECK_THAT(test::error_of(ErrorCode::usage, [&] { start_training(fine, {}); }), ContainsSubstring("--k 16"));
}

TEST_CASE_METHOD(Trainer, "Trainer.ModelsNameTheirDataNotItsPlace") {
  TrainOptions base = options("base"), fine = options("fine");
  base.max_steps = fine.max_steps = 1;
  start_training(base, {});
  fine.init = base.out / "best.lfmw";
  start_training(fine, {});
  for (const char* name : {"best.lfmw", "last.lfmw"}) {
    const std::string text = load_model(fine.out / name).provenance;
    CHECK_THAT_MESSAGE(text, !ContainsSubstring(folder_.path().string()), name);
    const auto made = nlohmann::json::parse(text);
    CHECK(made["data"] == nlohmann::json::parse(R"([{"folder": "train", "reals": 6, "fakes": 6}])"));
    CHECK(made["val"] == nlohmann::json::parse(R"([{"folder": "val", "reals": 3, "fakes": 3}])"));
    CHECK(made["options"]["init"] == "best.lfmw");
    CHECK(made["options"]["lr"] == 1e-3);
  }
}

TEST_CASE_METHOD(Trainer, "Trainer.AblationsTrain") {
  for (const char* name : {"average", "k4", "no_rbld", "no_rks", "rank_scale"}) {
    TrainOptions o = options(name);
    o.max_steps = 2;
    const std::string ablation = name;
    if (ablation == "average") o.architecture.pooling = Pooling::average;
    if (ablation == "k4") o.architecture.k = 4;
    if (ablation == "no_rbld") o.regularisation.rbld = false;
    if (ablation == "no_rks") o.regularisation.rks = false;
    if (ablation == "rank_scale") o.regularisation.rbld_scale = RbldScale::rank;
    CHECK_MESSAGE(start_training(o, {}).state.step == 2u, name);
    CHECK(load_model(o.out / "best.lfmw").architecture.k == (ablation == "average" ? 1 : ablation == "k4" ? 4 : 16));
  }
}

TEST_CASE_METHOD(Trainer, "Trainer.LearnsFromScratchWhatSeparatesHeldOutImages") {
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
  REQUIRE(log.epochs().size() == 8u);
  const Metrics& held_out = log.epochs().back().validation->metrics;
  CHECK(held_out.reals + held_out.fakes == 128u);
  CHECK(held_out.accuracy >= 0.99);
  CHECK(held_out.ap >= 0.99);
  CHECK_THAT(static_cast<float>(log.steps().back().learning_rate), WithinULP(3e-4f * 0.3f * 0.3f * 0.3f, 4));
}

TEST_CASE_METHOD(Trainer, "Trainer.StopsEarlyWithoutABetterModel") {
  TrainOptions o = options("early");
  o.patience = 2;
  o.epochs = 50;
  o.best_by = BestBy::loss;
  o.adam.learning_rate = 1e-30f;  // nothing is learnt: the loss only follows the running statistics up and down
  o.lr_min = 0;
  const TrainOutcome outcome = start_training(o, {});
  CHECK(outcome.end == TrainEnd::stopped_early);
  CHECK(outcome.state.epochs_without_gain == 2u);
  CHECK(outcome.state.best->epoch + 2 == outcome.state.epoch);
  CHECK(resume_training(o.out, {}, {}).state.step == outcome.state.step);  // resuming doesn't run on
}

TEST_CASE_METHOD(Trainer, "Trainer.DivergenceNamesTheStepAndTheLastGoodCheckpoint") {
  TrainOptions o = options("diverges");
  o.loss_limit = 0.01;  // exceeded by any first step
  const std::string message = test::error_of(ErrorCode::input, [&] { start_training(o, {}); });
  CHECK_THAT(message, ContainsSubstring("step 1 "));
  CHECK_THAT(message, ContainsSubstring("last.lfmw (step 0)"));
  CHECK(saved("diverges").state.step == 0u);  // and it is still good

  o = options("overflows");
  o.adam.learning_rate = 1e30f;
  CHECK_THAT(test::error_of(ErrorCode::input, [&] { start_training(o, {}); }), ContainsSubstring("diverged"));
  CHECK_NOTHROW(saved("overflows"));
}

TEST_CASE_METHOD(Trainer, "Trainer.RefusesPrecisionsThatTheDeviceLacks") {
  TrainOptions o = options("run");
  o.precision = Precision::bf16;
  CHECK_THAT(test::error_of(ErrorCode::usage, [&] { start_training(o, {}); }), ContainsSubstring("--precision bf16"));
}

TEST_CASE_METHOD(Trainer, "Trainer.ResumesInItsPrecision") {
  if (!why_no_emulation().empty()) SKIP(why_no_emulation());
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
  CHECK_THAT(test::error_of(ErrorCode::usage,
                            [&] {
                              resume_training(folder_ / "pieces", {{"precision", "fp32"}}, {});
                            }),
             ContainsSubstring("--precision"));
  resume_training(folder_ / "pieces", {}, {});
  CHECK(saved("pieces").options.precision == Precision::bf16);
  CHECK_THAT(load_model(folder_ / "pieces" / "last.lfmw").provenance, ContainsSubstring("\"precision\":\"bf16\""));
  expect_same_run(saved("whole"), saved("pieces"));
}

TEST_CASE_METHOD(Trainer, "Trainer.PicturesThatVanishEndTheRunWhichGoesOnWhenTheyAreBack") {
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
  CHECK_THAT(message, ContainsSubstring((folder_ / "train").string()) && ContainsSubstring("No such file") &&
                          ContainsSubstring("--resume"));
  CHECK_THAT(test::error_of(ErrorCode::input, [&] { resume_training(folder_ / "run", {}, {}); }),
             ContainsSubstring("not a folder"));
  std::filesystem::rename(folder_ / "away", folder_ / "train");
  resume_training(folder_ / "run", {}, {});
  expect_same_run(saved("run"), saved("whole"));
}

// As if a checkpoint had been changed: an epoch has three steps.
TEST_CASE_METHOD(Trainer, "Trainer.RefusesCountersThatContradictTheData") {
  start_training(options("run"), interrupt_after(2));
  const std::filesystem::path last = folder_ / "run" / "last.lfmw";
  const SavedRun run = saved("run");
  const Tensor moments[] = {float_tensor("training.m", {run.m.size()}, run.m),
                            float_tensor("training.v", {run.v.size()}, run.v)};
  nlohmann::json training = load_checkpoint(last).training();
  const auto save_counters = [&](int step, int epoch, int epoch_step) {
    training["state"].update({{"step", step}, {"epoch", epoch}, {"epoch_step", epoch_step}});
    save_checkpoint(run.model, training, moments, last);
  };
  constexpr int wrong[][3] = {{3, 0, 3}, {6, 1, 3}, {2, 0, 1}, {4, 2, 2}, {2, 1, 1}};
  for (const auto& [step, epoch, epoch_step] : wrong) {
    save_counters(step, epoch, epoch_step);
    const std::string message = test::error_of(ErrorCode::model, [&] { resume_training(folder_ / "run", {}, {}); });
    CHECK_THAT_MESSAGE(
        message,
        ContainsSubstring(last.string()) && ContainsSubstring("contradict each other") && ContainsSubstring("--init"),
        step);
  }
  save_counters(2, 0, 2);
  CHECK(resume_training(folder_ / "run", {}, {}).state.step == 6u);
}

TEST_CASE_METHOD(Trainer, "Trainer.RefusesWhatWouldSpoilARun") {
  start_training(options("run"), interrupt_after(1));
  CHECK_THAT(test::error_of(ErrorCode::usage, [&] { start_training(options("run"), {}); }),
             ContainsSubstring("--resume"));
  CHECK_THAT(test::error_of(ErrorCode::usage,
                            [&] {
                              resume_training(folder_ / "run", {{"batch", 8}}, {});
                            }),
             ContainsSubstring("--batch"));
  CHECK_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "none", {}, {}); }),
             ContainsSubstring("none"));

  std::filesystem::copy(folder_ / "train" / "0_real" / "0.ppm", folder_ / "train" / "0_real" / "extra.ppm");
  CHECK_THAT(test::error_of(ErrorCode::usage, [&] { resume_training(folder_ / "run", {}, {}); }),
             ContainsSubstring("data has changed"));

  std::filesystem::remove_all(folder_ / "train" / "1_fake");
  CHECK_THAT(test::error_of(ErrorCode::input, [&] { start_training(options("one_sided"), {}); }),
             ContainsSubstring("fake"));
  CHECK_FALSE(std::filesystem::exists(folder_ / "one_sided" / "last.lfmw"));
}

}  // namespace
}  // namespace lfm
