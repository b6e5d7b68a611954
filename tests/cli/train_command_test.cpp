// lfm-cuda train, run as a user runs it: killed, interrupted, resumed.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/engine/engine.h"
#include "src/model/architecture.h"
#include "src/model/weight_file.h"
#include "src/train/run_folder.h"
#include "tests/catch.h"
#include "tests/cli/process.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"
#include "tests/train/equal_runs.h"
#include "tests/train/generated_set.h"

namespace lfm {
namespace {

using test::Process;

Process start_program(std::vector<std::string> arguments, const std::filesystem::path& output) {
  arguments.insert(arguments.begin(), test::kProgram);
  return Process(std::move(arguments), output);
}

class TrainCommand {
 protected:
  TrainCommand() {
    test::write_generated_set(folder_ / "train", {6, 56, 1});
    test::write_generated_set(folder_ / "val", {2, 56, 2});
  }

  std::vector<std::string> start(const std::string& out) const {
    return {"train", "--data",   path("train"), "--val",  path("val"), "--out",      path(out), "--device",
            "cpu",   "--view",   "native",      "--crop", "48",        "--val-crop", "48",      "--batch",
            "4",     "--epochs", "4",           "--lr",   "1e-3",      "--seed",     "11",      "--checkpoint-every",
            "1"};
  }
  std::vector<std::string> resume(const std::string& out) const { return {"train", "--resume", "--out", path(out)}; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  int run(const std::vector<std::string>& arguments) {
    Process process = start_program(arguments, folder_ / "output");
    const int code = process.wait();
    text_ = process.text();
    return code;
  }

  int run_signalled(const std::string& out, std::chrono::duration<double, std::milli> whole, std::mt19937& random);

  test::TemporaryFolder folder_;
  std::string text_;
};

/// Signals that a test sends: 10, or as many as LFM_SIGNALS says (tools/test --all).
int wanted_signals() {
  const char* number = std::getenv("LFM_SIGNALS");
  return number ? std::atoi(number) : 10;
}

std::vector<std::string> unfinished_files(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".tmp") names.push_back(entry.path().filename());
  }
  return names;
}

/// Runs in `out` to the end, signalled on average at every third of `whole`; returns how often.
int TrainCommand::run_signalled(const std::string& out, std::chrono::duration<double, std::milli> whole,
                                std::mt19937& random) {
  constexpr int signals[] = {SIGKILL, SIGKILL, SIGTERM, SIGINT, SIGPIPE};
  int sent = 0, code = -1;
  for (int attempt = 0; code != 0 && attempt < 60; ++attempt) {
    const bool begun = std::filesystem::exists(folder_ / out / "last.lfmw");
    Process process = start_program(begun ? resume(out) : start(out), folder_ / "output");
    if (attempt < 50) {
      std::uniform_real_distribution<double> milliseconds(0, whole.count() * 2 / 3);
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds(random)));
      if (!process.ended()) {
        process.signal(signals[random() % std::size(signals)]);
        ++sent;
      }
    }
    code = process.wait();
    CHECK_MESSAGE(
        (code == 0 || code == 130 || code == -1),
        "exit code " << code << ": " << process.text());  // -1: killed, or told to end before it could catch that
  }
  CHECK(code == 0);
  return sent;
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.SignalledAtRandomMomentsAndResumedEqualsUninterrupted") {
  const auto before = std::chrono::steady_clock::now();
  REQUIRE_MESSAGE(run(start("whole")) == 0, text_);
  const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - before;

  const unsigned seed = std::random_device{}();
  INFO(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  int sent = 0, runs = 0;
  while (sent < wanted_signals() && !test::case_has_failed()) {
    const std::string out = fmt::format("signalled{}", runs++);
    sent += run_signalled(out, whole, random);
    test::expect_equal_runs(folder_ / out, folder_ / "whole");
    CHECK_THAT_MESSAGE(unfinished_files(folder_ / out), test::ElementsAre(),
                       "what a killed process had begun is cleared away");
    std::filesystem::remove_all(folder_ / out);
  }
  fmt::print("  {} signals in {} runs (seed {})\n", sent, runs, seed);
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.GoesOnWhenNobodyReadsWhatItPrints") {
  REQUIRE_MESSAGE(run(start("whole")) == 0, text_);
  std::vector<std::string> command = {"bash", "-c", "\"$@\" | head -1; exit ${PIPESTATUS[0]}", "bash", test::kProgram};
  for (const std::string& argument : start("unread")) command.push_back(argument);
  Process process(command, folder_ / "output");
  CHECK_MESSAGE(process.wait() == 1, process.text());
  CHECK_THAT(process.text(), ContainsSubstring("standard output"));
  test::expect_equal_runs(folder_ / "unread", folder_ / "whole");
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.TheLockHoldsAsLongAsItsProcessLives") {
  std::vector<std::string> endless = start("run");
  *(std::ranges::find(endless, "--epochs") + 1) = "100000";
  Process first = start_program(endless, folder_ / "first");
  while (!first.ended() && !std::filesystem::exists(folder_ / "run" / "last.lfmw")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (const auto& second : {start("run"), resume("run")}) {
    CHECK(run(second) == 1);
    CHECK_THAT(text_, ContainsSubstring(fmt::format("process {} is training into this folder", first.id())));
    CHECK_THAT(text_, ContainsSubstring("choose another --out"));
  }
  first.signal(SIGKILL);
  CHECK_MESSAGE(first.wait() == -1, first.text());

  Process third = start_program(resume("run"), folder_ / "third");
  while (!third.ended() && third.text().find("resuming") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  third.signal(SIGINT);
  CHECK_MESSAGE(third.wait() == 130, third.text());
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.CheckpointsThatCannotBeResumed") {
  std::vector<std::string> arguments = start("run");
  arguments.insert(arguments.end(), {"--max-steps", "1"});
  REQUIRE_MESSAGE(run(arguments) == 0, text_);
  const std::filesystem::path last = folder_ / "run" / "last.lfmw";
  const std::vector<std::byte> good = test::read_bytes(last);
  const auto refused = [&](const std::vector<std::byte>& bytes, const std::string& cause, const std::string& remedy) {
    test::write_bytes(last, bytes);
    CHECK_MESSAGE(run(resume("run")) == 3, text_);
    CHECK_THAT(text_, ContainsSubstring(last.string()) && ContainsSubstring(cause) && ContainsSubstring(remedy));
    CHECK_MESSAGE(test::read_bytes(last) == bytes, "it is left as it is");
  };
  refused({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2)}, "is truncated",
          "copy or download it again");
  refused({}, "is empty", "copy or download it again");
  std::vector<std::byte> changed = good;
  changed[8] = std::byte{9};
  refused(changed, "has format version 9", "use the lfm-cuda that wrote it");
  changed = good;
  changed[changed.size() / 2] ^= std::byte{1};
  refused(changed, "its checksum does not match", "copy or download it again");
  save_model(test::random_model({Pooling::topk, 5}, 1), folder_ / "other.lfmw");
  refused(test::read_bytes(folder_ / "other.lfmw"), "is a model without training state", "--init");

  // A checkpoint of another architecture in the place of the run's, and options that are not its own.
  test::write_bytes(last, good);
  std::vector<std::string> other = resume("run");
  other.insert(other.end(), {"--k", "8"});
  CHECK(run(other) == 2);
  CHECK_THAT(text_, ContainsSubstring("--k 8 contradicts the run in " + path("run")) && ContainsSubstring("--init"));
  other = start("new");
  other.insert(other.end(), {"--init", path("other.lfmw")});
  CHECK(run(other) == 2);
  CHECK_THAT(text_,
             ContainsSubstring("other.lfmw: the model has another residual, trunk, pooling or head than this run") &&
                 ContainsSubstring("--k 5"));
  save_model(test::random_model(kNprNetwork, 1), folder_ / "npr.lfmw");
  other.back() = path("npr.lfmw");
  CHECK(run(other) == 2);
  CHECK_THAT(text_, ContainsSubstring("use --network npr --residual npr_signed --trunk resnet --pool average --k 1"));
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.CtrlCSavesAndSaysHowToGoOn") {
  Process process = start_program(start("interrupted"), folder_ / "output");
  while (!process.ended() && !std::filesystem::exists(folder_ / "interrupted" / "last.lfmw")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.signal(SIGINT);
  CHECK_MESSAGE(process.wait() == 130, process.text());
  CHECK_THAT(process.text(), ContainsSubstring("lfm-cuda train --resume --out " + path("interrupted")));
  REQUIRE_MESSAGE(run(resume("interrupted")) == 0, text_);
  REQUIRE_MESSAGE(run(start("whole")) == 0, text_);
  test::expect_equal_runs(folder_ / "interrupted", folder_ / "whole");
}

// What mpirun sets, without mpirun: a build without MPI must not let each process train for itself.
TEST_CASE_METHOD(TrainCommand, "TrainCommand.OneOfSeveralProcessesNeedsMpi") {
  if (*test::kMpirun) SKIP("this build has MPI");
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  CHECK(run(start("run")) == 2);
  unsetenv("OMPI_COMM_WORLD_SIZE");
  CHECK_THAT(text_, ContainsSubstring("has no MPI"));
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.SecondProcessIsRefused") {
  const RunFolder held(folder_ / "run");
  CHECK(run(start("run")) == 1);
  CHECK_THAT(text_, ContainsSubstring(fmt::format("process {} is training into this folder", getpid())));
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.UsageErrors") {
  CHECK(run({"train", "--data", path("train")}) == 2);
  CHECK_THAT(text_, ContainsSubstring("--out"));
  CHECK(run({"train", "--out", path("x")}) == 2);
  CHECK_THAT(text_, ContainsSubstring("--data"));
  CHECK(run({"train", "--data", path("train"), "--out", path("x"), "--rbld-scale", "twice"}) == 2);
  CHECK(run({"train", "--data", path("train"), "--out", path("x"), "--precision", "fp16"}) == 2);
  CHECK(run({"train", "--data", path("train"), "--out", path("x"), "--batch", "4", "--device", "cpu", "--precision",
             "bf16"}) == 2);
  CHECK_THAT(text_, ContainsSubstring("the CPU engine trains in fp32 alone"));
  CHECK(run({"train", "--resume", "--out", path("unbegun")}) == 2);
  CHECK_THAT(text_, ContainsSubstring("no run to resume"));
  CHECK(run({"train", "--data", path("nowhere"), "--out", path("x")}) == 1);
  CHECK_THAT(text_, ContainsSubstring("nowhere"));
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.RivalsNetworksTrainAndScore") {
  std::vector<std::string> arguments = start("npr");
  arguments.insert(arguments.end(), {"--network", "npr", "--max-steps", "2"});
  REQUIRE_MESSAGE(run(arguments) == 0, text_);
  CHECK(load_model(folder_ / "npr" / "last.lfmw").architecture == kNprNetwork);
  CHECK_MESSAGE(run({"detect", "--model", path("npr/last.lfmw"), "--view", "native", path("train")}) != 2, text_);
  CHECK_THAT(text_, ContainsSubstring("images scored"));

  const auto refused = [&](const std::vector<std::string>& more, const std::string& reason,
                           const char* device = "cpu") {
    std::vector<std::string> all = start("refused");
    std::ranges::replace(all, std::string("cpu"), std::string(device));
    all.insert(all.end(), more.begin(), more.end());
    CHECK_MESSAGE(run(all) == 2, text_);
    CHECK_THAT(text_, ContainsSubstring(reason));
    CHECK_FALSE(std::filesystem::exists(folder_ / "refused" / "last.lfmw"));
  };
  refused({"--network", "safe", "--trunk", "snet"}, "--network lfm --residual haar_hh");
  refused({"--trunk", "resnet", "--teacher", path("npr/last.lfmw")}, "--teacher needs --trunk snet");
  refused({"--network", "another"}, "--network");
  if (why_no_emulation().empty()) {
    refused({"--trunk", "resnet", "--precision", "bf16"}, "leave out --precision bf16", "emulated");
  }
}

TEST_CASE_METHOD(TrainCommand, "TrainCommand.WritesNoControlCharactersIntoAPipe") {
  std::vector<std::string> arguments = start("run");
  arguments.insert(arguments.end(), {"--max-steps", "2"});
  REQUIRE(run(arguments) == 0);
  CHECK_THAT(text_, !ContainsSubstring("\r"));
  CHECK_THAT(text_, !ContainsSubstring("\x1b"));
  for (const char* file : {"best.lfmw", "last.lfmw", "log.jsonl", "curves.html"}) {
    CHECK_MESSAGE(std::filesystem::exists(folder_ / "run" / file), file);
  }
}

}  // namespace
}  // namespace lfm
