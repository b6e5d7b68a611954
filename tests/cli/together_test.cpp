// mpirun -np N lfm-cuda detect and evaluate, as a user runs them: what one process writes, byte for byte, whatever
// happens to one of several.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/catch.h"
#include "tests/cli/mpirun.h"
#include "tests/cli/process.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class Together {
 protected:
  Together() {
    if (!fs::exists(kMpirun)) SKIP("this build has no MPI (LFM_MPI; libopenmpi-dev, openmpi-bin)");
    write_random_model(folder_ / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 24; ++i) {
      write_ppm(folder_ / fmt::format("photos/{}_{}/{:02}.ppm", i % 2, i % 2 ? "fake" : "real", i), 48 + 8 * (i % 3),
                48, i);
    }
    std::ofstream(folder_ / "photos/0_real/07-broken.png") << "\x89PNG\r\n\x1a\nbroken";
    std::ofstream(folder_ / "photos/0_real/notes.txt") << "no image";
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  Arguments command(const std::string& name, const Arguments& more) const {
    Arguments all = {kProgram, name, "--model", at("model.lfmw"), "--device", "cpu", "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Process start(int processes, const Arguments& arguments) const {
    Arguments all;
    if (processes > 1) all = {kMpirun, "-np", std::to_string(processes)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Process(all, folder_ / "output", mpi_environment(1));
  }
  int run(int processes, const std::string& name, const Arguments& more) {
    Process process = start(processes, command(name, more));
    const int code = process.wait();
    text_ = process.text();
    return code;
  }
  std::string records(const std::string& name) const { return read_text(at(name)); }
  TemporaryFolder folder_;
  std::string text_;
};

TEST_CASE_METHOD(Together, "Together.SeveralProcessesWriteWhatOneWrites") {
  CHECK_MESSAGE(run(1, "detect", {"--stable", "-o", at("one.json"), at("photos")}) == 1,
                text_);  // one picture is broken
  CHECK_MESSAGE(run(3, "detect", {"--stable", "-o", at("three.json"), at("photos")}) == 1, text_);
  CHECK(records("three.json") == records("one.json"));
  CHECK_MESSAGE(count_of(text_, "07-broken.png") == 1u, text_);
  CHECK_MESSAGE(count_of(text_, "3 processes, each cpu (") == 1u, text_);
  fs::remove(at("photos/0_real/07-broken.png"));
  CHECK_MESSAGE(run(1, "evaluate", {"-q", "--perturb", "jpeg:70", "--scores", at("one.scores.csv"), at("photos")}) == 0,
                text_);
  CHECK_MESSAGE(run(2, "evaluate", {"-q", "--perturb", "jpeg:70", "--scores", at("two.scores.csv"), at("photos")}) == 0,
                text_);
  CHECK(records("two.scores.csv") == records("one.scores.csv"));
}

TEST_CASE_METHOD(Together, "Together.WhatStopsAllIsToldOnce") {
  CHECK(run(2, "detect", {"--no-such-option", at("photos")}) == 2);
  CHECK_MESSAGE(count_of(text_, "not expected: --no-such-option") == 1u, text_);
  fs::rename(at("model.lfmw"), at("moved.lfmw"));
  CHECK(run(2, "detect", {at("photos")}) == 3);
  CHECK_MESSAGE(count_of(text_, "lfm-cuda: error: ") == 1u, text_);
  fs::rename(at("moved.lfmw"), at("model.lfmw"));
  CHECK(run(2, "detect", {"--output", at("photos/0_real/00.ppm"), at("photos")}) ==
        1);  // what the root alone finds out
  CHECK_MESSAGE(count_of(text_, "lfm-cuda: error: ") == 1u, text_);
  CHECK_THAT(text_, ContainsSubstring("use --force") && !ContainsSubstring("rank"));
  Arguments different = {"-np", "1"};
  for (const std::string& word : command("detect", {at("photos")})) different.push_back(word);
  different.insert(different.end(), {":", "-np", "1"});
  for (const std::string& word : command("detect", {"--stable", at("photos")})) different.push_back(word);
  different.insert(different.begin(), kMpirun);
  CHECK(start(1, different).wait() == 2);
}

// The records that are there are the first ones of what one process writes; the same options, with any number of
// processes, add the others. The list of pictures comes through a pipe that the test holds open, so that no run is over
// before its signal.
TEST_CASE_METHOD(Together, "Together.ALostProcessOrASignalEndsTheRunWhichGoesOn") {
  std::string list;
  for (std::uint32_t i = 0; i < 60; ++i) {
    write_ppm(folder_ / fmt::format("many/{:02}.ppm", i), 112, 112, i);
    if (i < 40) list += at(fmt::format("many/{:02}.ppm\n", i));
  }
  REQUIRE_MESSAGE(run(1, "detect", {"-q", "-f", "jsonl", "-o", at("whole.jsonl"), at("many")}) == 0, text_);
  const std::string whole = records("whole.jsonl");
  REQUIRE(mkfifo(at("list").c_str(), 0600) == 0);
  const int pipe = open(at("list").c_str(), O_RDWR | O_CLOEXEC);
  for (const int signal : {SIGKILL, SIGTERM, SIGUSR1}) {
    INFO("signal " << signal);
    fs::remove(at("many.jsonl"));
    Arguments arguments = {"sh", "-c", "exec \"$0\" \"$@\" < " + at("list"), kMpirun, "-np", "2"};
    for (const std::string& word : command("detect", {"-q", "--resume", at("many.jsonl"), "-"}))
      arguments.push_back(word);
    REQUIRE(write(pipe, list.data(), list.size()) == static_cast<ssize_t>(list.size()));
    Process process = start(1, arguments);
    const auto begun = [&] { return fs::exists(at("many.jsonl")) && fs::file_size(at("many.jsonl")) > 0; };
    while (!process.ended() && !begun()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const pid_t victim = signal == SIGKILL ? process_of_rank(process.id(), 1) : process.id();
    if (victim == 0) SKIP("this mpirun starts processes through another program");
    kill(victim, signal);
    CHECK_MESSAGE(process.wait() != 0, process.text());
    const std::string before = records("many.jsonl");
    CHECK(!before.empty());
    CHECK(before.size() < whole.size());
    CHECK(whole.starts_with(before));
    if (signal == SIGUSR1) CHECK_THAT(process.text(), ContainsSubstring("the same command goes on from here"));
    REQUIRE_MESSAGE(run(signal == SIGKILL ? 3 : 1, "detect", {"-q", "--resume", at("many.jsonl"), at("many")}) == 0,
                    text_);
    CHECK(records("many.jsonl") == whole);
  }
  close(pipe);
}

}  // namespace
}  // namespace lfm::test
