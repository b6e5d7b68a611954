// Every command whose standard output takes nothing: closed by its reader (... | head -1), full, or closed from the
// beginning.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using Arguments = std::vector<std::string>;

class StandardOutput {
 protected:
  StandardOutput() {
    write_random_model(folder / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 2; ++i) {
      write_ppm(folder / ("val/0_real/" + std::to_string(i) + ".ppm"), 64, 64, i);
      write_ppm(folder / ("val/1_fake/" + std::to_string(i) + ".ppm"), 64, 64, 10 + i);
    }
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }

  std::vector<Arguments> commands() const {
    return {
        {"detect", at("val"), "--model", at("model.lfmw"), "--features", at("x.npy"), "--report", at("page.html")},
        {"detect", at("val"), "--model", at("model.lfmw"), "--format", "json", "--sort", "score"},
        {"evaluate", at("val"), "--model", at("model.lfmw"), "--bootstrap", "0", "--output", at("e.json"),
         "--fit-calibration", at("fitted.lfmw"), "--report", at("e.html")},
        {"explain", at("val/0_real/0.ppm"), "--model", at("model.lfmw"), "--output", at("explained")},
        {"info", at("model.lfmw")},
        {"info", at("model.lfmw"), "--json"},
        {"doctor", "--model", at("model.lfmw")},
        {"convert", at("model.lfmw"), at("converted.safetensors"), "--force"},
        {"bench", "--device", "cpu", "--batch", "1", "--size", "48", "--iterations", "1", "--warm-up", "1"},
        {"bench", "--device", "cpu", "--batch", "1", "--size", "48", "--iterations", "1", "--warm-up", "1", "--json"},
        {"detect", "--help"},
        {"--version"}};
  }

  /// Exit code 1, one line that tells why, and no unfinished file.
  void expect_told(const ProgramResult& result, const std::string& cause) const {
    CHECK_MESSAGE(result.exit_code == 1, result.err);
    CHECK_THAT(result.err, ContainsSubstring("standard output: "));
    CHECK_THAT(result.err, ContainsSubstring(cause));
    CHECK_MESSAGE(result.err.find("error:") == result.err.rfind("error:"), "told once: " << result.err);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
      CHECK_THAT(entry.path().filename().string(), !ContainsSubstring(".tmp"));
    }
  }

  TemporaryFolder folder;
};

TEST_CASE_METHOD(StandardOutput, "StandardOutput.ClosedByItsReader") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  for (const Arguments& command : commands()) {
    INFO(test::printed(command));
    expect_told(run_program(kProgram, command, {.out_descriptor = ends[1]}), "its reader");
  }
  close(ends[1]);
}

TEST_CASE_METHOD(StandardOutput, "StandardOutput.OnAFullDisk") {
  for (const Arguments& command : commands()) {
    INFO(test::printed(command));
    expect_told(run_program(kProgram, command, {.out = "/dev/full"}), "");
  }
}

TEST_CASE_METHOD(StandardOutput, "StandardOutput.ClosedFromTheBeginning") {
  for (Arguments command : commands()) {
    INFO(test::printed(command));
    command.insert(command.begin(), {"-c", "\"$0\" \"$@\" >&-", kProgram});
    expect_told(run_program("bash", command), "");
  }
}

// The shell's own way: head takes a line and goes, while records still come.
TEST_CASE_METHOD(StandardOutput, "StandardOutput.HeadTakesTheFirstRecord") {
  Arguments command = {"-c",         "\"$0\" \"$@\" | head -1; exit ${PIPESTATUS[0]}",
                       kProgram,     "detect",
                       "--model",    at("model.lfmw"),
                       "--format",   "jsonl",
                       "--batch",    "1",
                       "--features", at("x.npy")};
  std::string long_path = at("val/0_real/");  // all records together are more than a pipe holds
  for (int i = 0; i < 150; ++i) long_path += "./";
  for (int i = 0; i < 400; ++i) command.push_back(long_path + "0.ppm");
  const ProgramResult result = run_program("bash", command);
  CHECK_MESSAGE(std::count(result.out.begin(), result.out.end(), '\n') == 1, result.out);
  CHECK_THAT(result.out, ContainsSubstring("0.ppm"));
  expect_told(result, "its reader has closed it");
  CHECK_MESSAGE(!std::filesystem::exists(at("x.npy")), "a file of a part of the inputs would pass for one of all");
}

// What was asked for as a file is there and whole where only the talk about it is lost.
TEST_CASE_METHOD(StandardOutput, "StandardOutput.FilesOfConvertAndEvaluateAreWritten") {
  for (const Arguments& command : commands()) {
    if (command[0] == "convert" || command[0] == "evaluate") run_program(kProgram, command, {.out = "/dev/full"});
  }
  for (const char* file : {"e.json", "e.html"}) CHECK_MESSAGE(std::filesystem::file_size(folder / file) > 0u, file);
  CHECK_NOTHROW(load_model(folder / "fitted.lfmw"));
  CHECK(run_program(kProgram, {"info", at("converted.safetensors")}).exit_code == 0);
}

}  // namespace
}  // namespace lfm::test
