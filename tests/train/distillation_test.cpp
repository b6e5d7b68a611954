// Training with a teacher, from folders to checkpoints.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "src/engine/engine.h"
#include "src/model/initialise.h"
#include "src/model/interchange.h"
#include "src/model/weight_file.h"
#include "src/train/run_log.h"
#include "src/train/trainer.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

class Distilling {
 protected:
  Distilling() {
    test::write_generated_set(folder_ / "train", {8, 56, 1});
    write_teacher("teacher.lfmw", 77);
  }

  // Nothing that it says makes sense, but it is a function of the picture, and another one than a student begins with.
  fs::path write_teacher(const std::string& name, std::uint64_t seed) const {
    Model model;
    model.values = initial_values(model.architecture, seed);
    export_model(model, folder_ / name);
    return folder_ / name;
  }

  TrainOptions options(const std::string& out) const {
    TrainOptions o;
    o.data = {folder_ / "train"};
    o.out = folder_ / out;
    o.device = "cpu";
    o.view = View::native;
    o.crop = 48;
    o.batch = 4;
    o.epochs = 1;  // of four steps
    o.adam.learning_rate = 1e-3f;
    o.augmentation.jpeg = 0.5f;
    o.teacher = folder_ / "teacher.lfmw";
    return o;
  }

  SavedRun saved(const std::string& out) const { return load_run(folder_ / out / "last.lfmw"); }
  std::vector<StepRecord> steps(const std::string& out) const {
    return RunLog(folder_ / out / "log.jsonl", 1000, 1000).steps();
  }

  test::TemporaryFolder folder_;
};

void expect_same_run(const SavedRun& a, const SavedRun& b) {
  CHECK_MESSAGE(a.model.values == b.model.values, "parameters");
  CHECK_MESSAGE((a.m == b.m && a.v == b.v), "moments");
  CHECK(a.distillation_scale == b.distillation_scale);
  CHECK(a.state.teacher_fingerprint == b.state.teacher_fingerprint);
  CHECK(a.state.epoch_loss == b.state.epoch_loss);
}

TrainHooks interrupt_after(int steps) {
  TrainHooks hooks;
  hooks.interrupted = [left = steps]() mutable { return --left <= 0; };
  return hooks;
}

TEST_CASE_METHOD(Distilling, "Distilling.ComesCloserToTheTeacherWithoutLabels") {
  fs::rename(folder_ / "train" / "0_real", folder_ / "train" / "some");
  fs::rename(folder_ / "train" / "1_fake", folder_ / "train" / "others");
  TrainOptions o = options("run");
  o.epochs = 30;
  o.augmentation.jpeg = 0;
  std::string told;
  TrainHooks hooks;
  hooks.say = [&](const std::string& line) { told += line + "\n"; };
  start_training(o, hooks);
  CHECK_THAT(told, ContainsSubstring("0 reals and 0 fakes and 16 unlabelled"));
  CHECK_THAT(told, !ContainsSubstring("accuracy"));
  const auto log = steps("run");
  REQUIRE(log.size() == 120u);
  const auto mean = [&](std::size_t first, double StepRecord::*value) {
    double sum = 0;
    for (std::size_t i = first; i < first + 10; ++i) sum += log[i].*value / 10;
    return sum;
  };
  CHECK(mean(110, &StepRecord::distance_maps) < 0.7 * mean(0, &StepRecord::distance_maps));
  CHECK(std::isnan(log[0].accuracy));
  CHECK_THAT(log[0].loss, WithinAbs(log[0].distance_maps + log[0].distance_logits, 1e-9));
  CHECK(nlohmann::json::parse(load_model(folder_ / "run" / "last.lfmw").provenance)["unlabelled"] == 16);
}

TEST_CASE_METHOD(Distilling, "Distilling.ResumedAfterEveryStepEqualsUninterruptedWhateverTheThreads") {
  start_training(options("whole"), {});
  TrainOptions pieces = options("pieces");
  pieces.threads = 3;
  start_training(pieces, interrupt_after(1));
  while (resume_training(pieces.out, {}, interrupt_after(1)).end == TrainEnd::interrupted) {
  }
  expect_same_run(saved("pieces"), saved("whole"));
  REQUIRE(steps("pieces").size() == 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(steps("pieces")[i].distance_maps == steps("whole")[i].distance_maps);
    CHECK(steps("pieces")[i].distance_logits == steps("whole")[i].distance_logits);
  }
  for (const float scale : saved("whole").distillation_scale) CHECK((scale > 0 && std::isfinite(scale)));
}

TEST_CASE_METHOD(Distilling, "Distilling.AnotherTeacherIsRefusedTheSameInAnotherFileIsNot") {
  start_training(options("run"), interrupt_after(1));
  write_teacher("other.lfmw", 78);
  const std::string message = test::error_of(ErrorCode::usage, [&] {
    resume_training(folder_ / "run", {{"teacher", (folder_ / "other.lfmw").string()}}, {});
  });
  CHECK_THAT(message,
             ContainsSubstring("other.lfmw") && ContainsSubstring("not the teacher") && ContainsSubstring("--init"));

  write_teacher("same.safetensors", 77);
  fs::remove(folder_ / "teacher.lfmw");
  CHECK_THAT(test::error_of(ErrorCode::model, [&] { resume_training(folder_ / "run", {}, {}); }),
             ContainsSubstring("teacher.lfmw"));
  CHECK(resume_training(folder_ / "run", {{"teacher", (folder_ / "same.safetensors").string()}}, {}).end ==
        TrainEnd::finished);
}

TEST_CASE_METHOD(Distilling, "Distilling.MixesLabelsAndDistances") {
  test::write_generated_set(folder_ / "more", {4, 56, 2});
  fs::rename(folder_ / "more" / "0_real", folder_ / "more" / "any");
  fs::remove_all(folder_ / "more" / "1_fake");
  TrainOptions o = options("run");
  o.data.push_back(folder_ / "more");
  o.distill_weight = 0.75f;
  o.balance = true;
  start_training(o, {});
  const auto log = steps("run");
  REQUIRE_MESSAGE(log.size() == 5u, "8 reals, 8 fakes, 4 unlabelled");
  bool mixed = false;
  for (const StepRecord& r : log) {
    const double distances = 0.75 * (r.distance_maps + r.distance_logits), labels = 0.25 * (r.loss_a + 0.1 * r.loss_b);
    CHECK(r.loss > distances);
    CHECK_MESSAGE(r.loss <= (distances + labels) * (1 + 1e-6),
                  "the labels' share is of all images, their mean of those with one");
    mixed |= r.loss - distances < 0.9 * labels;
  }
  CHECK(mixed);

  o.out = folder_ / "without";
  o.teacher.clear();
  CHECK_THAT(test::error_of(ErrorCode::input, [&] { start_training(o, {}); }),
             ContainsSubstring((folder_ / "more").string()));
  o = options("one_sided");
  o.data = {folder_ / "more"};
  o.distill_weight = 0.75f;
  CHECK_THAT(test::error_of(ErrorCode::input, [&] { start_training(o, {}); }), ContainsSubstring("no fakes"));
}

// The teacher sees the picture before it is re-compressed: a student that is the teacher, but sees it after, is not at
// distance 0.
TEST_CASE_METHOD(Distilling, "Distilling.TheTeacherSeesThePictureAsItWas") {
  const auto first_distance = [&](const char* out, float jpeg, float untouched) {
    TrainOptions o = options(out);
    o.augmentation.jpeg = jpeg;
    o.augmentation.jpeg_quality = {30, 30};
    o.augmentation.untouched = untouched;
    o.max_steps = 1;
    start_training(o, {});
    return steps(out).at(0).distance_maps;
  };
  const double plain = first_distance("plain", 0, 0), touched = first_distance("touched", 1, 0);
  CHECK(touched != plain);
  // The margin that re-compression wants moves crops; with everything spared, they are where they were.
  CHECK(first_distance("spared", 1, 1) == plain);
}

TEST_CASE_METHOD(Distilling, "Distilling.ComparesOnlyWhatIsAsked") {
  for (const char* what : {"maps", "logits"}) {
    TrainOptions o = options(what);
    o.distill = {what};
    o.max_steps = 1;
    start_training(o, {});
    CHECK((steps(what)[0].distance_maps > 0) == (std::string(what) == "maps"));
    CHECK((steps(what)[0].distance_logits > 0) == (std::string(what) == "logits"));
  }
  TrainOptions o = options("averages");
  o.architecture.pooling = Pooling::average;  // a student that pools otherwise has the same maps
  o.max_steps = 1;
  CHECK(start_training(o, {}).state.step == 1u);
}

TEST_CASE_METHOD(Distilling, "Distilling.ResumesOnTheDevice") {
  if (!why_no_emulation().empty()) SKIP(why_no_emulation());
  const auto on_device = [&](const char* out) {
    TrainOptions o = options(out);
    o.device = "emulated";
    o.batch = 2;
    o.max_steps = 2;
    return o;
  };
  start_training(on_device("whole"), {});
  start_training(on_device("pieces"), interrupt_after(1));
  resume_training(folder_ / "pieces", {}, {});
  expect_same_run(saved("whole"), saved("pieces"));
}

}  // namespace
}  // namespace lfm
