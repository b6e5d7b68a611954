// mpirun -np 2 lfm-cuda train, as a user runs it: equal to one process with twice the batch, resumed, interrupted, and
// broken.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/model/initialise.h"
#include "src/model/weight_file.h"
#include "src/train/run_log.h"
#include "tests/catch.h"
#include "tests/cli/mpirun.h"
#include "tests/cli/process.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"
#include "tests/train/equal_runs.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

using test::count_of;
using test::mpi_environment;
using test::Process;
using test::process_of_rank;
using Arguments = std::vector<std::string>;

constexpr unsigned kSeed = 11;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Options given anew.
Arguments with(Arguments arguments, const Arguments& options) {
  for (std::size_t i = 0; i < options.size(); i += 2) {
    const auto found = std::find(arguments.begin(), arguments.end(), options[i]);
    if (found != arguments.end()) {
      *(found + 1) = options[i + 1];
    } else {
      arguments.insert(arguments.end(), {options[i], options[i + 1]});
    }
  }
  return arguments;
}

class DataParallel {
 protected:
  DataParallel() {
    if (!std::filesystem::exists(test::kMpirun)) SKIP("this build has no MPI (LFM_MPI; libopenmpi-dev, openmpi-bin)");
    test::write_generated_set(folder_ / "train", {6, 56, 1});
    test::write_generated_set(folder_ / "val", {2, 56, 2});
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Six steps of four images: of each process, as many as its share.
  Arguments train(const std::string& out, int processes, const std::string& device = "cpu") const {
    return {"train",
            "--data",
            path("train"),
            "--val",
            path("val"),
            "--out",
            path(out),
            "--device",
            device,
            "--view",
            "native",
            "--crop",
            "48",
            "--val-crop",
            "48",
            "--batch",
            std::to_string(4 / processes),
            "--epochs",
            "2",
            "--lr",
            "1e-3",
            "--seed",
            std::to_string(kSeed),
            "--checkpoint-every",
            "1"};
  }
  Arguments resume(const std::string& out) const { return {"train", "--resume", "--out", path(out)}; }

  Process start(int processes, const Arguments& arguments) const {
    const Arguments program = Arguments{test::kProgram} + arguments;
    if (processes == 1) return Process(program, folder_ / "output");
    return Process(Arguments{test::kMpirun, "-np", std::to_string(processes)} + program, folder_ / "output",
                   mpi_environment());
  }

  int run(int processes, const Arguments& arguments) {
    Process process = start(processes, arguments);
    const int code = process.wait();
    text_ = process.text();
    return code;
  }

  void wait_for_epoch(Process& process, const std::string& out) const {
    while (!process.ended() && !std::filesystem::exists(folder_ / out / "best.lfmw")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  RunLog log(const std::string& out) const { return RunLog(folder_ / out / "log.jsonl", 1000, 1000); }
  SavedRun saved(const std::string& out) const { return load_run(folder_ / out / "last.lfmw"); }

  test::TemporaryFolder folder_;
  std::string text_;
};

double distance(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  return std::sqrt(squares);
}

/// How far apart two models are, of the way that training has moved the first: trainable parameters, then running
/// statistics.
std::pair<double, double> relative_distances(const Model& a, const Model& b) {
  const auto start = initial_values(a.architecture, kSeed);
  const std::size_t trainable = parameter_table(a.architecture).trainable_floats;
  const auto of = [&](auto part) {
    return distance(part(std::span(a.values)), part(std::span(b.values))) /
           distance(part(std::span(a.values)), part(std::span(start)));
  };
  return {of([&](std::span<const float> values) { return values.first(trainable); }),
          of([&](std::span<const float> values) { return values.subspan(trainable); })};
}

// In double precision the order of summation hardly shows; whatever else two processes did differently would.
TEST_CASE_METHOD(DataParallel, "DataParallel.TwoProcessesEqualOneWithTwiceTheBatch") {
  REQUIRE_MESSAGE(run(1, train("one", 1, "reference")) == 0, text_);
  REQUIRE_MESSAGE(run(2, train("two", 2, "reference")) == 0, text_);
  CHECK_THAT(text_, ContainsSubstring("2 processes with 2 images each per step"));
  const RunLog one = log("one"), two = log("two");
  REQUIRE(one.steps().size() == 6u);
  REQUIRE(two.steps().size() == 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK_THAT_MESSAGE(two.steps()[i].loss, WithinAbs(one.steps()[i].loss, 1e-9), "step " << i + 1);
    CHECK_THAT_MESSAGE(two.steps()[i].gradient_norm / one.steps()[i].gradient_norm, WithinAbs(1, 1e-9),
                       "step " << i + 1);
    CHECK_MESSAGE(two.steps()[i].accuracy == one.steps()[i].accuracy, "step " << i + 1);
  }
  REQUIRE(two.epochs().size() == 2u);
  CHECK_THAT(two.epochs()[1].validation->loss, WithinAbs(one.epochs()[1].validation->loss, 1e-5));
  const auto [parameters, statistics] = relative_distances(saved("one").model, saved("two").model);
  fmt::print("  distance of the parameters {:.1e}, of the running statistics {:.1e} of the way\n", parameters,
             statistics);
  CHECK(parameters <= 1e-5);
  CHECK(statistics <= 1e-5);
}

// The teacher's scales are measured over both processes' pictures.
TEST_CASE_METHOD(DataParallel, "DataParallel.LearnsFromATeacherAsOneProcessDoes") {
  Model teacher;
  teacher.values = initial_values(teacher.architecture, 5);
  save_model(teacher, folder_ / "teacher.lfmw");
  const Arguments taught = {
      "--teacher", path("teacher.lfmw"), "--distill-weight", "0.7", "--jpeg", "0.5", "--max-steps", "3", "--loss-limit",
      "1e9"};  // what an untrained teacher says hardly varies, so all is far from it
  REQUIRE_MESSAGE(run(1, with(train("one", 1, "reference"), taught)) == 0, text_);
  REQUIRE_MESSAGE(run(2, with(train("two", 2, "reference"), taught)) == 0, text_);
  const RunLog one = log("one"), two = log("two");
  REQUIRE(two.steps().size() == 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(one.steps()[i].distance_maps > 0);
    CHECK_THAT_MESSAGE(two.steps()[i].distance_maps / one.steps()[i].distance_maps, WithinAbs(1, 1e-6),
                       "step " << i + 1);
    CHECK_THAT_MESSAGE(two.steps()[i].distance_logits / one.steps()[i].distance_logits, WithinAbs(1, 1e-6),
                       "step " << i + 1);
    CHECK_THAT_MESSAGE(two.steps()[i].gradient_norm / one.steps()[i].gradient_norm, WithinAbs(1, 1e-6),
                       "step " << i + 1);
  }
  CHECK(saved("one").state.teacher_fingerprint == saved("two").state.teacher_fingerprint);
  REQUIRE_MESSAGE(run(2, with(resume("two"), {"--max-steps", "4"})) == 0, text_);
}

// In single precision Adam turns rounding into steps, where a gradient is next to nothing. The first steps must agree
// closely still.
TEST_CASE_METHOD(DataParallel, "DataParallel.OnTheCpuEngineUpToRounding") {
  const Arguments few = {"--max-steps", "3", "--lr", "1e-4"};
  REQUIRE_MESSAGE(run(1, with(train("one", 1), few)) == 0, text_);
  REQUIRE_MESSAGE(run(2, with(train("two", 2), few)) == 0, text_);
  const RunLog one = log("one"), two = log("two");
  REQUIRE(two.steps().size() == 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_THAT_MESSAGE(two.steps()[i].loss, WithinAbs(one.steps()[i].loss, 1e-4), "step " << i + 1);
    CHECK_THAT_MESSAGE(two.steps()[i].gradient_norm / one.steps()[i].gradient_norm, WithinAbs(1, 1e-3),
                       "step " << i + 1);
  }
  const auto [parameters, statistics] = relative_distances(saved("one").model, saved("two").model);
  fmt::print("  distance of the parameters {:.1e}, of the running statistics {:.1e} of the way\n", parameters,
             statistics);
  CHECK(parameters <= 0.01);
  CHECK(statistics <= 1e-4);
}

// Every part of the architecture reaches every process, of a new run and of one that goes on.
TEST_CASE_METHOD(DataParallel, "DataParallel.OfARivalsNetwork") {
  const Arguments safe = {"--network", "safe", "--max-steps", "1", "--lr", "1e-4"};
  REQUIRE_MESSAGE(run(1, with(train("one", 1), safe)) == 0, text_);
  REQUIRE_MESSAGE(run(2, with(train("two", 2), safe)) == 0, text_);
  for (const char* out : {"one", "two"}) {
    const int processes = out == std::string("one") ? 1 : 2;
    REQUIRE_MESSAGE(run(processes, with(resume(out), {"--max-steps", "2"})) == 0, text_);
    CHECK(saved(out).model.architecture == kSafeNetwork);
  }
  const RunLog one = log("one"), two = log("two");
  REQUIRE(two.steps().size() == 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK_THAT_MESSAGE(two.steps()[i].loss, WithinAbs(one.steps()[i].loss, 1e-4), "step " << i + 1);
  }
}

TEST_CASE_METHOD(DataParallel, "DataParallel.ResumedEqualsUninterrupted") {
  REQUIRE_MESSAGE(run(2, train("whole", 2)) == 0, text_);
  REQUIRE_MESSAGE(run(2, with(train("pieces", 2), {"--max-steps", "2"})) == 0, text_);
  REQUIRE_MESSAGE(run(2, with(resume("pieces"), {"--max-steps", "0"})) == 0, text_);
  // --max-steps judged a model that the other run didn't; the rest is the same.
  const SavedRun whole = saved("whole"), pieces = saved("pieces");
  CHECK(pieces.state.step == 6u);
  CHECK_MESSAGE(whole.model.values == pieces.model.values, "the weights differ");
  CHECK_MESSAGE((whole.m == pieces.m && whole.v == pieces.v), "the moments differ");

  // A step's images stay the same on another number of processes.
  REQUIRE_MESSAGE(run(2, with(train("moved", 2), {"--max-steps", "2"})) == 0, text_);
  REQUIRE_MESSAGE(run(1, with(resume("moved"), {"--max-steps", "0"})) == 0, text_);
  CHECK(saved("moved").options.batch == 4);
  CHECK(saved("moved").state.step == 6u);
  CHECK_MESSAGE(run(3, with(resume("moved"), {"--epochs", "3"})) == 2, text_);
  CHECK_THAT(text_, ContainsSubstring("4 images, which can't be dealt out evenly to 3 processes"));
}

// mpirun turns Ctrl-C and SIGTERM into a SIGTERM to its processes, and passes SIGUSR1 on at once.
TEST_CASE_METHOD(DataParallel, "DataParallel.SignalsSaveAndTheRunGoesOnWithTheSameBits") {
  for (const int signal : {SIGTERM, SIGUSR1}) {
    const std::string out = fmt::format("signal{}", signal), whole = out + "whole";
    const Arguments endless = {"--epochs", "100000"};
    Process process = start(2, with(train(out, 2), endless));
    wait_for_epoch(process, out);
    process.signal(signal);
    CHECK_MESSAGE(process.wait() != 0, process.text());
    CHECK_THAT(process.text(), ContainsSubstring("lfm-cuda train --resume --out " + path(out)));
    const std::uint64_t done = saved(out).state.step;
    CHECK_MESSAGE(log(out).steps().size() == done, "the last step was not saved");
    const Arguments a_little_further = {"--max-steps", std::to_string(done + 4)};
    REQUIRE_MESSAGE(run(2, with(resume(out), a_little_further)) == 0, text_);
    REQUIRE_MESSAGE(run(2, with(with(train(whole, 2), endless), a_little_further)) == 0, text_);
    test::expect_equal_runs(folder_ / out, folder_ / whole);
  }
}

TEST_CASE_METHOD(DataParallel, "DataParallel.AKilledProcessTakesTheOthersWithItAndTheRunGoesOn") {
  REQUIRE_MESSAGE(run(2, with(train("whole", 2), {"--epochs", "20"})) == 0, text_);
  Process process = start(2, with(train("killed", 2), {"--epochs", "20"}));
  wait_for_epoch(process, "killed");
  const pid_t victim = process_of_rank(process.id(), 1);
  if (victim == 0) SKIP("this mpirun starts processes through another program");
  kill(victim, SIGKILL);
  CHECK_MESSAGE(process.wait() != 0, "or it would hang");
  CHECK_THAT(process.text(), ContainsSubstring("rank 1"));
  REQUIRE_MESSAGE(run(2, resume("killed")) == 0, text_);
  test::expect_equal_runs(folder_ / "killed", folder_ / "whole");
}

TEST_CASE_METHOD(DataParallel, "DataParallel.WhatStopsOneProcessIsToldWithItsRank") {
  // Relative to another folder, the second process finds other data under the same name.
  std::filesystem::create_directories(folder_ / "elsewhere");
  const auto arguments = [&](const std::string& folder) {
    Arguments all = {"-np", "1", "-wdir", folder, test::kProgram};
    return all + with(train("run", 2), {"--data", "train"});
  };
  const Arguments command =
      Arguments{test::kMpirun} + arguments(folder_.path().string()) + Arguments{":"} + arguments(path("elsewhere"));
  Process missing(command, folder_ / "output", mpi_environment());
  CHECK(missing.wait() == 1);
  CHECK_THAT(missing.text(), ContainsSubstring("lfm-cuda: error: rank 1 of 2 ("));
  CHECK_THAT(missing.text(), ContainsSubstring("train: not a folder"));

  std::filesystem::remove_all(folder_ / "run");
  test::write_generated_set(folder_ / "elsewhere" / "train", {7, 56, 1});
  Process different(command, folder_ / "output", mpi_environment());
  CHECK(different.wait() == 1);
  CHECK_THAT(different.text(), ContainsSubstring("lfm-cuda: error: rank 1 of 2 ("));
  CHECK_THAT(different.text(), ContainsSubstring("is not that of rank 0"));
}

TEST_CASE_METHOD(DataParallel, "DataParallel.WhatStopsAllIsToldOnce") {
  CHECK(run(2, with(train("run", 2), {"--loss-limit", "0.01"})) == 1);
  CHECK_MESSAGE(count_of(text_, "lfm-cuda: error: training diverged in step 1 ") == 1u, text_);
  CHECK_THAT(text_, !ContainsSubstring("rank 1"));
  CHECK(run(2, train("run", 2)) == 2);
  CHECK_MESSAGE(count_of(text_, "already holds a run") == 1u, text_);
  CHECK(run(2, resume("none")) == 2);
  CHECK_MESSAGE(count_of(text_, "no run to resume") == 1u, text_);
}

TEST_CASE_METHOD(DataParallel, "DataParallel.EarlyStoppingStopsAll") {
  const Arguments patient = {"--patience", "2",    "--epochs", "50",       "--best-by",
                             "loss",       "--lr", "1e-30",    "--lr-min", "0"};
  REQUIRE_MESSAGE(run(2, with(train("run", 2), patient)) == 0, text_);
  CHECK_THAT(text_, ContainsSubstring("stopped early: no better model for 2 epochs"));
}

// The second process runs in a folder of its own, without --quiet, and leaves nothing there or on the terminal.
TEST_CASE_METHOD(DataParallel, "DataParallel.OnlyTheRootWritesAndSpeaks") {
  std::filesystem::create_directories(folder_ / "first");
  std::filesystem::create_directories(folder_ / "second");
  const auto arguments = [&](const std::string& folder) {
    return Arguments{"-np", "1", "-wdir", path(folder), test::kProgram} + with(train("run", 2), {"--out", "run"});
  };
  Process process(Arguments{test::kMpirun} + arguments("first") + Arguments{":"} + arguments("second"),
                  folder_ / "output", mpi_environment());
  REQUIRE_MESSAGE(process.wait() == 0, process.text());
  CHECK_MESSAGE(count_of(process.text(), "epoch 1/2") == 1u, process.text());
  CHECK_MESSAGE(count_of(process.text(), "training: ") == 1u, process.text());
  CHECK(std::filesystem::exists(folder_ / "first" / "run" / "last.lfmw"));
  CHECK(std::filesystem::is_empty(folder_ / "second"));
}

}  // namespace
}  // namespace lfm
