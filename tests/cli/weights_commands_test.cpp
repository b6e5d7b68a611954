// lfm-cuda convert and info, run as a user runs them.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lfm/model.h"
#include "src/model/interchange.h"
#include "tests/catch.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

struct Outcome {
  int code = -1;
  std::string text;  ///< what was printed, errors included
};

Outcome run(const std::string& arguments) {
  Outcome outcome;
  FILE* pipe = popen((std::string(test::kProgram) + " " + arguments + " 2>&1").c_str(), "r");
  if (!pipe) return outcome;
  std::array<char, 4096> buffer;
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) outcome.text.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class WeightsCommands {
 protected:
  WeightsCommands() {
    model_ = test::random_model({Pooling::topk, 5}, 1);
    model_.name = "esc\x1b[31m";
    save_model(model_, folder_ / "a.lfmw");
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  test::TemporaryFolder folder_;
  Model model_;
};

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.ConvertThereAndBack") {
  CHECK(run("convert " + path("a.lfmw") + " " + path("b.safetensors")).code == 0);
  const Outcome back = run("convert " + path("b.safetensors") + " " + path("c.lfmw"));
  CHECK_MESSAGE(back.code == 0, back.text);
  CHECK(test::read_bytes(folder_ / "c.lfmw") == test::read_bytes(folder_ / "a.lfmw"));
}

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.ConvertSetsWhatIsKeptWithTheWeights") {
  const std::string provenance = R"({"licence": "Apache-2.0"})";
  test::write_bytes(folder_ / "p.json", std::as_bytes(std::span(provenance)));
  const Outcome outcome = run("convert " + path("a.lfmw") + " " + path("b.lfmw") +
                              " --name new --view native --threshold 0.25 --provenance " + path("p.json"));
  CHECK_MESSAGE(outcome.code == 0, outcome.text);
  const Model model = load_model(folder_ / "b.lfmw");
  CHECK(model.name == "new");
  CHECK(model.view == View::native);
  CHECK(model.threshold == 0.25f);
  CHECK(nlohmann::json::parse(model.provenance) == nlohmann::json::parse(provenance));
  CHECK(model.values == model_.values);
}

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.ConvertReplacesOnlyWhenForced") {
  const auto before = test::read_bytes(folder_ / "a.lfmw");
  const Outcome refused = run("convert " + path("a.lfmw") + " " + path("a.lfmw") + " --name other");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.text, ContainsSubstring("a.lfmw") && ContainsSubstring("--force"));
  CHECK(test::read_bytes(folder_ / "a.lfmw") == before);
  CHECK(run("convert --force " + path("a.lfmw") + " " + path("a.lfmw") + " --name other").code == 0);
  CHECK(load_model(folder_ / "a.lfmw").name == "other");
}

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.ConvertFailsWithCauseAndCode") {
  CHECK(run("convert " + path("none") + " " + path("b.lfmw")).code == 3);
  CHECK(run("convert " + path("a.lfmw") + " " + path("b.npz")).code == 2);
  CHECK(run("convert " + path("a.lfmw") + " " + path("no/b.lfmw")).code == 1);
  CHECK(run("convert " + path("a.lfmw")).code == 2);
  CHECK(run("convert " + path("a.lfmw") + " " + path("b.lfmw") + " --threshold 2").code == 2);
  CHECK_FALSE(std::filesystem::exists(folder_ / "b.lfmw"));
}

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.InfoCountsParametersAndWork") {
  save_model(test::random_model({}, 2), folder_ / "b.lfmw");
  const Outcome text = run("info " + path("b.lfmw"));
  CHECK(text.code == 0);
  CHECK_THAT(text.text, ContainsSubstring("725,569") && ContainsSubstring("1,575,356,160") &&
                            ContainsSubstring("top-16") && ContainsSubstring("verified"));

  const auto json = nlohmann::json::parse(run("info --json --size 224 " + path("a.lfmw")).text);
  CHECK(json.at("architecture").at("k") == 5);
  CHECK(json.at("parameters") == 725569 - 64 * 11);
  CHECK(json.at("layers").at(4).at("output") == "512 x 26 x 26");
}

TEST_CASE_METHOD(WeightsCommands, "WeightsCommands.InfoPrintsNoEscapeSequences") {
  CHECK_THAT(run("info " + path("a.lfmw")).text, ContainsSubstring("esc\\x1b[31m") && !ContainsSubstring("\x1b"));
}

}  // namespace
}  // namespace lfm
