// The weights and pictures that come with the project, as README shows them.

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

const std::filesystem::path kCheckout = kSourceFolder;

/// A line of `lfm-cuda detect`'s table.
struct Row {
  double score = 0, logit = 0;
  std::string verdict, size, file;
};

/// The lines that begin with a score, up to the first empty one.
std::vector<Row> rows(std::istream& in) {
  std::vector<Row> all;
  for (std::string line; std::getline(in, line) && !line.empty() && line != "```";) {
    std::istringstream words(line);
    Row row;
    if (words >> row.score >> row.verdict >> row.logit >> row.size >> row.file) all.push_back(row);
  }
  return all;
}

TEST_CASE("Samples.ScoreAsTheReadmeSays") {
  const ProgramResult result = run_program(kProgram, {"detect", (kCheckout / "samples").string()});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  std::istringstream out(result.out);
  const std::vector<Row> scored = rows(out);

  std::ifstream readme(kCheckout / "README.md");
  for (std::string line; std::getline(readme, line) && line != "$ lfm-cuda detect samples/";) {
  }
  const std::vector<Row> told = rows(readme);
  REQUIRE_MESSAGE(scored.size() == 4u, result.out);
  REQUIRE_MESSAGE(told.size() == scored.size(), "README.md shows the output of lfm-cuda detect samples/");
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(kCheckout / told[i].file == scored[i].file);
    CHECK_THAT_MESSAGE(told[i].score, WithinAbs(scored[i].score, 2e-3),
                       told[i].file);  // rounded, and processors differ in the last bits
    CHECK_THAT_MESSAGE(told[i].logit, WithinAbs(scored[i].logit, 1e-2), told[i].file);
    CHECK_MESSAGE(told[i].verdict == scored[i].verdict, told[i].file);
    CHECK_MESSAGE(told[i].size == scored[i].size, told[i].file);
    CHECK_MESSAGE(scored[i].verdict == (scored[i].file.find("redrawn") == std::string::npos ? "real" : "fake"),
                  "the truth");
  }
}

}  // namespace
}  // namespace lfm::test
