#include "src/train/run_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/train/curves_page.h"
#include "src/train/run_log.h"
#include "tests/catch.h"
#include "tests/model/expect_error.h"
#include "tests/model/temporary_folder.h"

namespace lfm {
namespace {

StepRecord step(std::uint64_t n) { return {n, 0, 1.0 / static_cast<double>(n), 0.5, 0.25, 0.75, 1e-4, 2.0, 100.0}; }

TEST_CASE("RunFolder.SecondHolderIsRefusedByNumber") {
  const test::TemporaryFolder folder;
  const RunFolder first(folder / "run");
  const std::string message = test::error_of(ErrorCode::output, [&] { RunFolder second(folder / "run"); });
  CHECK_THAT(message, ContainsSubstring("process " + std::to_string(getpid())));
}

TEST_CASE("RunFolder.ADeadHolderLeavesNoLock") {
  const test::TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    new RunFolder(folder / "run");
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  CHECK_NOTHROW(RunFolder(folder / "run"));
}

TEST_CASE("RunFolder.ErrorNamesWhatCannotBeMade") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  CHECK_THAT(test::error_of(ErrorCode::output, [&] { RunFolder run(folder / "file" / "run"); }),
             ContainsSubstring("file/run"));
}

TEST_CASE("RunLog.KeepsWhatTheCheckpointKnowsAndNoHalfLine") {
  const test::TemporaryFolder folder;
  {
    RunLog log(folder / "log.jsonl", 0, 0);
    for (std::uint64_t n = 1; n <= 5; ++n) log.append(step(n));
    log.append(EpochRecord{1, 5, 0.5, 0.9, 12, true, Validation{0.4, {3, 4, 0.9, 0.8, 0.7, 0.95}}});
    log.append(step(6));
  }
  std::ofstream(folder / "log.jsonl", std::ios::app) << "{\"type\":\"step\",\"st";  // killed while writing
  RunLog log(folder / "log.jsonl", 5, 1);
  REQUIRE(log.steps().size() == 5u);
  CHECK(to_json(log.steps()[4]) == to_json(step(5)));
  REQUIRE(log.epochs().size() == 1u);
  CHECK(log.epochs()[0].best);
  CHECK(log.epochs()[0].validation->metrics.ap == 0.95);
  log.append(step(6));
  CHECK(RunLog(folder / "log.jsonl", 6, 1).steps().size() == 6u);
  CHECK(RunLog(folder / "log.jsonl", 0, 0).steps().size() == 0u);
}

TEST_CASE("CurvesPage.StandsAloneAndEscapesWhatPeopleType") {
  const test::TemporaryFolder folder;
  RunLog log(folder / "log.jsonl", 0, 0);
  for (std::uint64_t n = 1; n <= 2000; ++n) log.append(step(n));
  log.append(EpochRecord{1, 1000, 0.5, 0.9, 12, false, Validation{0.4, {3, 4, 0.9, 0.8, std::nan(""), 0.95}}});
  TrainOptions options;
  options.val = {"held-out"};
  options.name = "<script>alert(1)</script>";
  const std::string html = curves_html({options.name, "running", true, 1000}, options, log);
  CHECK_THAT(html, !ContainsSubstring("<script"));
  CHECK_THAT(html, !ContainsSubstring("http:"));
  CHECK_THAT(html, !ContainsSubstring("https:"));
  CHECK_THAT(html, !ContainsSubstring("nan"));
  CHECK_THAT(html, ContainsSubstring("&lt;script&gt;"));
  CHECK_THAT(html, ContainsSubstring("prefers-color-scheme:dark"));
  CHECK(html.size() < 100'000u);  // 2000 steps are thinned out
}

}  // namespace
}  // namespace lfm
