// lfm-cuda convert and info, run as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lfm/model.h"
#include "src/model/interchange.h"
#include "tests/model/random_model.h"
#include "tests/model/temporary_folder.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

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

class WeightsCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = test::random_model({Pooling::topk, 5}, 1);
    model_.name = "esc\x1b[31m";
    save_model(model_, folder_ / "a.lfmw");
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  test::TemporaryFolder folder_;
  Model model_;
};

TEST_F(WeightsCommands, ConvertThereAndBack) {
  EXPECT_EQ(run("convert " + path("a.lfmw") + " " + path("b.safetensors")).code, 0);
  const Outcome back = run("convert " + path("b.safetensors") + " " + path("c.lfmw"));
  EXPECT_EQ(back.code, 0) << back.text;
  EXPECT_EQ(test::read_bytes(folder_ / "c.lfmw"), test::read_bytes(folder_ / "a.lfmw"));
}

TEST_F(WeightsCommands, ConvertSetsWhatIsKeptWithTheWeights) {
  const std::string provenance = R"({"licence": "Apache-2.0"})";
  test::write_bytes(folder_ / "p.json", std::as_bytes(std::span(provenance)));
  const Outcome outcome = run("convert " + path("a.lfmw") + " " + path("b.lfmw") + " --name new --view native --threshold 0.25 --provenance " + path("p.json"));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  const Model model = load_model(folder_ / "b.lfmw");
  EXPECT_EQ(model.name, "new");
  EXPECT_EQ(model.view, View::native);
  EXPECT_EQ(model.threshold, 0.25f);
  EXPECT_EQ(nlohmann::json::parse(model.provenance), nlohmann::json::parse(provenance));
  EXPECT_EQ(model.values, model_.values);
}

TEST_F(WeightsCommands, ConvertReplacesOnlyWhenForced) {
  const auto before = test::read_bytes(folder_ / "a.lfmw");
  const Outcome refused = run("convert " + path("a.lfmw") + " " + path("a.lfmw") + " --name other");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.text, AllOf(HasSubstr("a.lfmw"), HasSubstr("--force")));
  EXPECT_EQ(test::read_bytes(folder_ / "a.lfmw"), before);
  EXPECT_EQ(run("convert --force " + path("a.lfmw") + " " + path("a.lfmw") + " --name other").code, 0);
  EXPECT_EQ(load_model(folder_ / "a.lfmw").name, "other");
}

TEST_F(WeightsCommands, ConvertFailsWithCauseAndCode) {
  EXPECT_EQ(run("convert " + path("none") + " " + path("b.lfmw")).code, 3);
  EXPECT_EQ(run("convert " + path("a.lfmw") + " " + path("b.onnx")).code, 2);
  EXPECT_EQ(run("convert " + path("a.lfmw") + " " + path("no/b.lfmw")).code, 1);
  EXPECT_EQ(run("convert " + path("a.lfmw")).code, 2);
  EXPECT_EQ(run("convert " + path("a.lfmw") + " " + path("b.lfmw") + " --threshold 2").code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b.lfmw"));
}

TEST_F(WeightsCommands, InfoCountsParametersAndWork) {
  save_model(test::random_model({}, 2), folder_ / "b.lfmw");
  const Outcome text = run("info " + path("b.lfmw"));
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.text, AllOf(HasSubstr("725,569"), HasSubstr("1,575,356,160"), HasSubstr("top-16"), HasSubstr("verified")));

  const auto json = nlohmann::json::parse(run("info --json --size 224 " + path("a.lfmw")).text);
  EXPECT_EQ(json.at("architecture").at("k"), 5);
  EXPECT_EQ(json.at("parameters"), 725569 - 64 * 11);
  EXPECT_EQ(json.at("layers").at(4).at("output"), "512 x 26 x 26");
}

TEST_F(WeightsCommands, InfoPrintsNoEscapeSequences) {
  EXPECT_THAT(run("info " + path("a.lfmw")).text, AllOf(HasSubstr("esc\\x1b[31m"), ::testing::Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace lfm
