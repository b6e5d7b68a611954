// Models of several members as a user meets them: joined, taken apart, named together, and in every output.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lfm/image.h"
#include "lfm/model.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;

class Members {
 protected:
  Members() {
    write_random_model(folder / "a.lfmw", 7);
    write_random_model(folder / "b.lfmw", 11);
    for (std::uint32_t i = 0; i < 4; ++i) {
      write_ppm(folder / ("val/set/0_real/" + std::to_string(i) + ".ppm"), 96, 80, i);
      write_ppm(folder / ("val/set/1_fake/" + std::to_string(i) + ".ppm"), 96, 80, 10 + i);
    }
    const auto joined = run_program(
        kProgram, {"convert", at("a.lfmw"), at("b.lfmw"), at("pair.lfmw"), "--combine", "max", "--name", "pair"});
    CHECK_MESSAGE((joined.exit_code == 0), joined.err);
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  json records(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"detect", "-q", "--format", "json", at("val")});
    const auto result = run_program(kProgram, std::move(arguments));
    CHECK_MESSAGE((result.exit_code == 0), result.err);
    return json::parse(result.out);
  }
  TemporaryFolder folder;
};

TEST_CASE_METHOD(Members, "Members.AreTakenOutAgainAsTheyWere") {
  REQUIRE((run_program(kProgram, {"convert", "--member", "2", at("pair.lfmw"), at("c.lfmw")}).exit_code == 0));
  CHECK((read_text(at("c.lfmw")) == read_text(at("b.lfmw"))));
  const auto beyond = run_program(kProgram, {"convert", "--member", "3", at("pair.lfmw"), at("d.lfmw")});
  CHECK((beyond.exit_code == 2));
  CHECK_THAT(beyond.err, ContainsSubstring("holds 2"));
  for (const char* other : {"d.safetensors", "d.onnx"}) {
    const auto exported = run_program(kProgram, {"convert", at("pair.lfmw"), at(other)});
    CHECK((exported.exit_code == 2));
    CHECK_THAT(exported.err, ContainsSubstring("--member"));
  }
  CHECK((run_program(kProgram, {"convert", at("a.lfmw"), at("d.lfmw"), "--combine", "mean"}).exit_code == 2));
}

TEST_CASE_METHOD(Members, "Members.JudgeTogetherWhetherInOneFileOrNamedTogether") {
  const std::string both = at("a.lfmw") + "," + at("b.lfmw");
  const json joined = records({"--model", at("pair.lfmw")}), named = records({"--model", both, "--combine", "max"});
  const json first = records({"--model", at("a.lfmw")}), second = records({"--model", at("b.lfmw")});
  REQUIRE((joined.size() == 8u));
  CHECK((joined == named));
  for (std::size_t i = 0; i < joined.size(); ++i) {
    const double a = first[i]["logit"], b = second[i]["logit"];
    CHECK((joined[i]["members"][0]["logit"] == first[i]["logit"]));
    CHECK((joined[i]["members"][1]["logit"] == second[i]["logit"]));
    CHECK_THAT(joined[i]["logit"].get<double>(),
               WithinAbs(std::max(a, b), 1e-5 * (1 + std::abs(a) + std::abs(b))));  // both have the threshold 0.5
    CHECK((joined[i]["decided_by"] == (a >= b ? 1 : 2)));
    const bool either = first[i]["label"] == "fake" || second[i]["label"] == "fake";
    CHECK(((joined[i]["label"] == "fake") == either));
    CHECK((!(first[i].contains("members"))));
  }
  CHECK((run_program(kProgram, {"detect", "--model", at("a.lfmw"), "--combine", "max", at("val")}).exit_code == 2));
}

TEST_CASE_METHOD(Members, "Members.HaveColumnsAtTheEndOfTables") {
  const auto result = run_program(
      kProgram, {"detect", "-q", "--format", "csv", "--model", at("pair.lfmw"), at("val/set/0_real"), at("none.ppm")});
  std::istringstream lines(result.out);
  std::string line;
  std::getline(lines, line);
  const auto commas = std::count(line.begin(), line.end(), ',');
  CHECK_THAT(line, EndsWith("error,reason,part,member_1,member_2,decided_by"));
  while (std::getline(lines, line)) CHECK_MESSAGE((std::count(line.begin(), line.end(), ',') == commas), line);
}

TEST_CASE_METHOD(Members, "Members.AreEvaluatedFittedAndTold") {
  const auto result = run_program(kProgram, {"evaluate", at("val"), "--model", at("pair.lfmw"), "--bootstrap", "0",
                                             "--perturb", "jpeg:75", "--scores", at("s.csv"), "--fit-calibration",
                                             at("fitted.lfmw"), "--report", at("r.html"), "--stable"});
  CHECK_MESSAGE((result.exit_code == 2), "--stable and --fit-calibration exclude each other, as ever");
  const auto fitted =
      run_program(kProgram, {"evaluate", at("val"), "--model", at("pair.lfmw"), "--bootstrap", "0", "--perturb",
                             "jpeg:75", "--scores", at("s.csv"), "--report", at("r.html")});
  REQUIRE_MESSAGE((fitted.exit_code == 0), fitted.err);
  CHECK_THAT(read_text(at("s.csv")), ContainsSubstring("logit,score,doubt,member_1,member_2\n"));
  CHECK_THAT(read_text(at("r.html")),
             ContainsSubstring("\"members\":[\"random\",\"random\"]") && ContainsSubstring("decided_by"));
  CHECK((run_program(kProgram, {"evaluate", at("val"), "--model", at("pair.lfmw"), "--bootstrap", "0", "--stable",
                                "--scores", at("s.csv"), "--force"})
             .exit_code == 0));
}

TEST_CASE_METHOD(Members, "Members.AreExplainedEachOnItsOwn") {
  const auto result = run_program(
      kProgram, {"explain", "--model", at("pair.lfmw"), "--json", "--output", at("why"), at("val/set/0_real/1.ppm")});
  REQUIRE_MESSAGE((result.exit_code == 0), result.err);
  const json record = json::parse(result.out)[0];
  REQUIRE((record["members"].size() == 2u));
  const json& decided = record["members"][record["decided_by"].get<std::size_t>() - 1];
  CHECK((record["bias"] == decided["bias"]));
  CHECK((record["regions"] == decided["regions"]));
  for (std::size_t m = 0; m < 2; ++m) {
    const auto alone = run_program(kProgram, {"explain", "--model", at(m == 0 ? "a.lfmw" : "b.lfmw"), "--json",
                                              "--output", at("alone"), at("val/set/0_real/1.ppm")});
    const json single = json::parse(alone.out)[0];
    for (const char* figure : {"logit", "bias", "towards_fake", "towards_real", "regions"})
      CHECK((record["members"][m][figure] == single[figure]));
  }
  CHECK_MESSAGE((read_image(at("why/1.sheet.png")).height == 2 * 80 + 8), "a row a member");
  const auto text =
      run_program(kProgram, {"explain", "--model", at("pair.lfmw"), "--output", at("why"), at("val/set/0_real/1.ppm")});
  CHECK_THAT(text.out, ContainsSubstring("decided by random") && ContainsSubstring("joint logit"));
}

TEST_CASE_METHOD(Members, "Members.AreListedByInfo") {
  const auto text = run_program(kProgram, {"info", at("pair.lfmw")});
  CHECK_THAT(text.out, ContainsSubstring("combination") && ContainsSubstring("max") && ContainsSubstring("member 2") &&
                           ContainsSubstring("2: head"));
  const json facts = json::parse(run_program(kProgram, {"info", "--json", at("pair.lfmw")}).out);
  const auto memory = [&](const char* file) {
    return json::parse(
        run_program(kProgram, {"info", "--json", "--batch", "2", "--device", "reference", at(file)}).out)["memory"];
  };
  const json of_pair = memory("pair.lfmw"), of_one = memory("a.lfmw");
  CHECK((of_pair["bytes"].get<std::int64_t>() == 2 * of_one["bytes"].get<std::int64_t>()));
  CHECK((of_pair["regions"].size() == 2 * of_one["regions"].size()));
  const auto training = run_program(kProgram, {"info", "--batch", "2", "--training", at("pair.lfmw")});
  CHECK((training.exit_code == 2));
  CHECK_THAT(training.err, ContainsSubstring("convert --member"));
  CHECK((facts["members"].size() == 2u));
  CHECK(
      (facts["parameters"].get<std::int64_t>() ==
       2 * json::parse(run_program(kProgram, {"info", "--json", at("a.lfmw")}).out)["parameters"].get<std::int64_t>()));
}

TEST_CASE_METHOD(Members, "Members.AreRefusedWhereOneNetworkIsWanted") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"bench", "--model", at("pair.lfmw"), "--device", "cpu", "--size", "64", "--batch",
                                 "1"},
        {"train", "--data", at("val"), "--init", at("pair.lfmw"), "--out", at("run"), "--epochs", "1"},
        {"train", "--data", at("val"), "--teacher", at("pair.lfmw"), "--out", at("run"), "--epochs", "1"}}) {
    const auto result = run_program(kProgram, arguments);
    CHECK_MESSAGE((result.exit_code == 2), arguments[0] << result.err);
    CHECK_THAT(result.err, ContainsSubstring("pair.lfmw") && ContainsSubstring("convert --member"));
  }
}

TEST_CASE_METHOD(Members, "Members.AListThatNamesNothingIsRefused") {
  CHECK((run_program(kProgram, {"detect", "--model", at("a.lfmw") + ",", at("val")}).exit_code == 2));
  const auto missing = run_program(kProgram, {"detect", "--model", at("a.lfmw") + "," + at("missing.lfmw"), at("val")});
  CHECK((missing.exit_code == 3));
  CHECK_THAT(missing.err, ContainsSubstring("missing.lfmw"));
}

}  // namespace
}  // namespace lfm::test
