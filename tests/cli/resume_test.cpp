// detect --resume: after any stop the same command goes on, and the file is in the end what one run would have written.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/cli/process.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class Resume {
 protected:
  Resume() {
    write_random_model(folder / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 24; ++i)
      write_ppm(folder / fmt::format("photos/{:02}.ppm", i), 48 + 8 * (i % 3), 48, i);
    write("photos/07-broken.png", "\x89PNG\r\n\x1a\nbroken");
    write("photos/notes.txt", "no image");
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  Arguments command(const std::string& file, const Arguments& more = {}) const {
    Arguments all = {"detect",  "--model", at("model.lfmw"), "--device", "cpu",    "--threads", "1",
                     "--batch", "2",       "--quiet",        "--resume", at(file), at("photos")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProgramResult run(const std::string& file, const Arguments& more = {}) const {
    return run_program(kProgram, command(file, more));
  }
  /// What one run writes.
  std::string whole() const {
    const auto result = run("whole.jsonl");
    CHECK_MESSAGE(result.exit_code == 1, result.err);  // one picture is broken
    return read_text(folder / "whole.jsonl");
  }
  void expect_refused(const ProgramResult& result, const std::string& words, int code = 2) const {
    CHECK_MESSAGE(result.exit_code == code, result.err);
    CHECK_THAT(result.err, ContainsSubstring(words));
  }
  TemporaryFolder folder;
};

TEST_CASE_METHOD(Resume, "Resume.WritesWhatAReportHas") {
  const std::string records = whole();
  const auto report = run_program(
      kProgram, {"detect", "--model", at("model.lfmw"), "--device", "cpu", "--format", "jsonl", at("photos")});
  CHECK(records == report.out);
  CHECK(run("whole.jsonl").exit_code ==
        1);  // nothing is left to score; the broken picture is still told by the exit code
  CHECK(read_text(folder / "whole.jsonl") == records);
  write_ppm(folder / "photos/zz.ppm", 48, 48, 99);  // a folder that has grown
  CHECK(run("whole.jsonl").exit_code == 1);
  const std::string grown = read_text(folder / "whole.jsonl");
  CHECK(grown.starts_with(records));
  CHECK_THAT(grown.substr(records.size()), ContainsSubstring("zz.ppm") && EndsWith("}\n"));
}

TEST_CASE_METHOD(Resume, "Resume.GoesOnFromAnyByte") {
  const std::string records = whole(), settings = read_text(at("whole.jsonl.settings"));
  std::mt19937 random(1);
  std::vector<std::size_t> cuts = {1, records.find('\n'), records.find('\n') + 1, records.size() - 1};
  for (int i = 0; i < 3; ++i) cuts.push_back(random() % records.size());
  for (const std::size_t cut : cuts) {
    INFO(cut);
    write("cut.jsonl", records.substr(0, cut));
    write("cut.jsonl.settings", settings);
    CHECK(run("cut.jsonl").exit_code == 1);
    CHECK(read_text(at("cut.jsonl")) == records);
  }
}

TEST_CASE_METHOD(Resume, "Resume.APathGivenTwiceHasTwoRecords") {
  const Arguments twice = {at("photos/00.ppm"), at("photos/00.ppm")};
  CHECK(run("twice.jsonl", twice).exit_code == 1);
  const std::string records = read_text(at("twice.jsonl"));
  write("twice.jsonl", records.substr(0, records.size() - 5));
  CHECK(run("twice.jsonl", twice).exit_code == 1);
  CHECK(read_text(at("twice.jsonl")) == records);
}

TEST_CASE_METHOD(Resume, "Resume.OtherSettingsAndFilesAreRefused") {
  const std::string records = whole();
  expect_refused(run("whole.jsonl", {"--view", "center"}), "view was native and is center");
  expect_refused(run("whole.jsonl", {"--threshold", "0.25", "--stable"}),
                 "stable was false and is true, threshold was 0.5 and is 0.25");
  write_random_model(folder / "other.lfmw", 8);
  expect_refused(run("whole.jsonl", {"--model", at("other.lfmw")}), "model");
  CHECK(read_text(folder / "whole.jsonl") == records);

  write("letter.txt", "Dear Sir");
  expect_refused(run("letter.txt"), "letter.txt.settings");
  CHECK(read_text(at("letter.txt")) == "Dear Sir");
  const std::string foreign = records + "no record\n" + records;
  write("whole.jsonl", foreign);
  expect_refused(run("whole.jsonl"), "line 26 is no record");
  CHECK(read_text(at("whole.jsonl")) == foreign);
  write("whole.jsonl.settings", "{");
  expect_refused(run("whole.jsonl"), "damaged");

  for (const Arguments& option : std::vector<Arguments>{{"--sort", "score"},
                                                        {"--features", at("f.npy")},
                                                        {"--report", at("r.html")},
                                                        {"--pages"},
                                                        {"--every", "1s"},
                                                        {"--format", "csv"},
                                                        {"--output", at("o.jsonl")}}) {
    expect_refused(run("fresh.jsonl", option), option[0]);
  }
  expect_refused(run("photos/00.ppm"), "is a PNM picture", 1);
  CHECK(!fs::exists(at("fresh.jsonl")));
}

TEST_CASE_METHOD(Resume, "Resume.KilledAtRandomMoments") {
  const char* asked = std::getenv("LFM_KILLS");
  const int wanted = asked ? std::atoi(asked) : 5;
  const auto begin = std::chrono::steady_clock::now();
  const std::string records = whole();
  const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  std::mt19937 random(static_cast<std::uint32_t>(wanted));
  Arguments detect = command("killed.jsonl");
  detect.insert(detect.begin(), kProgram);
  int kills = 0;
  while (kills < wanted) {
    fs::remove(at("killed.jsonl"));
    for (bool finished = false; !finished;) {
      Process process(detect, folder / "printed");
      const auto moment = std::chrono::microseconds(random() % static_cast<std::uint32_t>(duration.count()));
      if (process.ended_within(moment)) {
        finished = true;
        CHECK_MESSAGE(process.wait() == 1, process.text());
      } else {
        process.signal(SIGKILL);
        process.wait();
        ++kills;
      }
      const std::string so_far = read_text(at("killed.jsonl"));
      CHECK(records.starts_with(so_far));
      CHECK((!finished || so_far == records));
    }
  }
}

}  // namespace
}  // namespace lfm::test
