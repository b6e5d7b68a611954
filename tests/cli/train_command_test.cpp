// lfm-cuda train, run as a user runs it: killed, interrupted, resumed.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/train/run_folder.h"
#include "tests/cli/process.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/equal_runs.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

using test::Process;
using testing::HasSubstr;

Process start_program(std::vector<std::string> arguments, const std::filesystem::path& output) {
  arguments.insert(arguments.begin(), LFM_CUDA_PROGRAM);
  return Process(std::move(arguments), output);
}

class TrainCommand : public ::testing::Test {
 protected:
  TrainCommand() {
    test::write_generated_set(folder_ / "train", {6, 56, 1});
    test::write_generated_set(folder_ / "val", {2, 56, 2});
  }

  std::vector<std::string> start(const std::string& out) const {
    return {"train",    "--data",     path("train"), "--val",  path("val"), "--out",              path(out), "--device", "cpu",
            "--view",   "native",     "--crop",      "48",     "--val-crop", "48",                "--batch", "4",        "--epochs",
            "4",        "--lr",       "1e-3",        "--seed", "11",         "--checkpoint-every", "1"};
  }
  std::vector<std::string> resume(const std::string& out) const { return {"train", "--resume", "--out", path(out)}; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  int run(const std::vector<std::string>& arguments) {
    Process process = start_program(arguments, folder_ / "output");
    const int code = process.wait();
    text_ = process.text();
    return code;
  }

  test::TemporaryFolder folder_;
  std::string text_;
};

TEST_F(TrainCommand, KilledAtRandomMomentsAndResumedEqualsUninterrupted) {
  const auto before = std::chrono::steady_clock::now();
  ASSERT_EQ(run(start("whole")), 0) << text_;
  const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - before;

  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  int kills = 0, code = -1;
  for (int attempt = 0; code != 0 && attempt < 60; ++attempt) {
    const bool begun = std::filesystem::exists(folder_ / "killed" / "last.lfmw");
    Process process = start_program(begun ? resume("killed") : start("killed"), folder_ / "output");
    if (attempt < 50) {  // on average a third of the run
      std::uniform_real_distribution<double> milliseconds(0, whole.count() * 2 / 3);
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds(random)));
      if (!process.ended()) {
        process.signal(SIGKILL);
        ++kills;
      }
    }
    code = process.wait();
    ASSERT_LE(code, 0) << process.text();
  }
  fmt::print("  {} kills (seed {})\n", kills, seed);
  EXPECT_EQ(code, 0);
  test::expect_equal_runs(folder_ / "killed", folder_ / "whole");
}

TEST_F(TrainCommand, CtrlCSavesAndSaysHowToGoOn) {
  Process process = start_program(start("interrupted"), folder_ / "output");
  while (!process.ended() && !std::filesystem::exists(folder_ / "interrupted" / "last.lfmw")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 130) << process.text();
  EXPECT_THAT(process.text(), HasSubstr("lfm-cuda train --resume --out " + path("interrupted")));
  ASSERT_EQ(run(resume("interrupted")), 0) << text_;
  ASSERT_EQ(run(start("whole")), 0) << text_;
  test::expect_equal_runs(folder_ / "interrupted", folder_ / "whole");
}

// What mpirun sets, without mpirun: a build without MPI must not let each process train for itself.
TEST_F(TrainCommand, OneOfSeveralProcessesNeedsMpi) {
  if (LFM_WITH_MPI) GTEST_SKIP() << "this build has MPI";
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  EXPECT_EQ(run(start("run")), 2);
  unsetenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_THAT(text_, HasSubstr("has no MPI"));
}

TEST_F(TrainCommand, SecondProcessIsRefused) {
  const RunFolder held(folder_ / "run");
  EXPECT_EQ(run(start("run")), 1);
  EXPECT_THAT(text_, HasSubstr(fmt::format("process {} is training into this folder", getpid())));
}

TEST_F(TrainCommand, UsageErrors) {
  EXPECT_EQ(run({"train", "--data", path("train")}), 2);
  EXPECT_THAT(text_, HasSubstr("--out"));
  EXPECT_EQ(run({"train", "--out", path("x")}), 2);
  EXPECT_THAT(text_, HasSubstr("--data"));
  EXPECT_EQ(run({"train", "--data", path("train"), "--out", path("x"), "--rbld-scale", "twice"}), 2);
  EXPECT_EQ(run({"train", "--data", path("train"), "--out", path("x"), "--precision", "fp16"}), 2);
  EXPECT_EQ(run({"train", "--data", path("train"), "--out", path("x"), "--device", "cpu", "--precision", "bf16"}), 2);
  EXPECT_THAT(text_, HasSubstr("the CPU engine trains in fp32 alone"));
  EXPECT_EQ(run({"train", "--resume", "--out", path("unbegun")}), 2);
  EXPECT_THAT(text_, HasSubstr("no run to resume"));
  EXPECT_EQ(run({"train", "--data", path("nowhere"), "--out", path("x")}), 1);
  EXPECT_THAT(text_, HasSubstr("nowhere"));
}

TEST_F(TrainCommand, WritesNoControlCharactersIntoAPipe) {
  std::vector<std::string> arguments = start("run");
  arguments.insert(arguments.end(), {"--max-steps", "2"});
  ASSERT_EQ(run(arguments), 0);
  EXPECT_THAT(text_, testing::Not(HasSubstr("\r")));
  EXPECT_THAT(text_, testing::Not(HasSubstr("\x1b")));
  for (const char* file : {"best.lfmw", "last.lfmw", "log.jsonl", "curves.html"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / "run" / file)) << file;
  }
}

}  // namespace
}  // namespace lfm
