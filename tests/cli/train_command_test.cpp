// lfm-cuda train, run as a user runs it: killed, interrupted, resumed.
#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/train/run_folder.h"
#include "src/train/run_state.h"
#include "tests/model/temporary_folder.h"
#include "tests/train/generated_set.h"

extern char** environ;

namespace lfm {
namespace {

using testing::HasSubstr;

/// A running lfm-cuda; what it prints goes to a file.
class Process {
 public:
  Process(std::vector<std::string> arguments, const std::filesystem::path& output) : output_(output) {
    arguments.insert(arguments.begin(), LFM_CUDA_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  void signal(int number) const { kill(pid_, number); }

  bool ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }

  /// Exit code, or -1 if a signal ended it.
  int wait() {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }

  std::string text() const {
    std::ifstream in(output_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::filesystem::path output_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

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
    Process process(arguments, folder_ / "output");
    const int code = process.wait();
    text_ = process.text();
    return code;
  }

  void expect_equal_runs(const std::string& a, const std::string& b) const {
    const SavedRun first = load_run(folder_ / a / "last.lfmw"), second = load_run(folder_ / b / "last.lfmw");
    EXPECT_EQ(first.state.step, second.state.step);
    EXPECT_TRUE(first.model.values == second.model.values) << "the weights differ";
    EXPECT_TRUE(first.m == second.m && first.v == second.v) << "the moments differ";
    EXPECT_TRUE(load_model(folder_ / a / "best.lfmw").values == load_model(folder_ / b / "best.lfmw").values);
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
    Process process(begun ? resume("killed") : start("killed"), folder_ / "output");
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
  expect_equal_runs("killed", "whole");
}

TEST_F(TrainCommand, CtrlCSavesAndSaysHowToGoOn) {
  Process process(start("interrupted"), folder_ / "output");
  while (!process.ended() && !std::filesystem::exists(folder_ / "interrupted" / "last.lfmw")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 130) << process.text();
  EXPECT_THAT(process.text(), HasSubstr("lfm-cuda train --resume --out " + path("interrupted")));
  ASSERT_EQ(run(resume("interrupted")), 0) << text_;
  ASSERT_EQ(run(start("whole")), 0) << text_;
  expect_equal_runs("interrupted", "whole");
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
  EXPECT_EQ(run({"train", "--resume", "--out", path("x")}), 2);
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
