// lfm-cuda evaluate as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Evaluate : public ::testing::Test {
 protected:
  Evaluate() {
    write_random_model(folder / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 6; ++i) {
      write_ppm(folder / ("val/one/0_real/" + std::to_string(i) + ".ppm"), 64, 64, i);
      write_ppm(folder / ("val/one/1_fake/" + std::to_string(i) + ".ppm"), 80, 64, 10 + i);
      write_ppm(folder / ("val/two/class/0_real/" + std::to_string(i) + ".ppm"), 64, 64, 20 + i);
      write_ppm(folder / ("val/two/class/1_fake/" + std::to_string(i) + ".ppm"), 64, 70, 30 + i);
    }
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  ProgramResult evaluate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"evaluate", at("val"), "--model", at("model.lfmw"), "--bootstrap", "20"});
    return run_program(kProgram, std::move(arguments));
  }
  TemporaryFolder folder;
};

TEST_F(Evaluate, ScoresAsDetectDoes) {
  const auto result = evaluate({"--format", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  ASSERT_EQ(report["conditions"].size(), 1u);
  for (const json& subset : report["conditions"][0]["subsets"]) {
    std::string where = at("val/" + subset["name"].get<std::string>());
    if (subset["name"] == "two") where += "/class";
    for (const auto& [label, share] : {std::pair{"0_real", "real_accuracy"}, std::pair{"1_fake", "fake_accuracy"}}) {
      const auto detected = run_program(kProgram, {"detect", "--model", at("model.lfmw"), "--format", "json", where + "/" + label});
      const json records = json::parse(detected.out);
      int fakes = 0;
      for (const json& record : records) fakes += record["label"] == "fake";
      const double called_fake = fakes / static_cast<double>(records.size());
      EXPECT_NEAR(subset[share].get<double>(), label[0] == '1' ? called_fake : 1 - called_fake, 1e-12);
    }
    EXPECT_EQ(subset["reals"], 6);
    EXPECT_EQ(subset["fakes"], 6);
  }
}

TEST_F(Evaluate, EveryFormatTellsTheSame) {
  const auto result = evaluate({"--perturb", "jpeg:80", "resize:0.9", "--output", at("t.json"), "--output", at("t.csv"), "--output",
                                at("t.md"), "--output", at("t.txt")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, read_text(at("t.txt")));
  const json report = json::parse(read_text(at("t.json")));
  ASSERT_EQ(report["conditions"].size(), 3u);
  EXPECT_EQ(report["conditions"][0]["name"], "none");
  EXPECT_EQ(report["conditions"][1]["name"], "jpeg:80");

  std::istringstream csv(read_text(at("t.csv")));
  std::string line;
  std::getline(csv, line);
  EXPECT_THAT(line, ::testing::StartsWith("condition,test_set,subset,reals,fakes,accuracy,"));
  for (const json& condition : report["conditions"]) {
    for (const json& subset : condition["subsets"]) {
      std::getline(csv, line);
      std::ostringstream expected;
      expected << condition["name"].get<std::string>() << ",val," << subset["name"].get<std::string>() << ",6,6,";
      EXPECT_THAT(line, ::testing::StartsWith(expected.str()));
      EXPECT_NEAR(std::stod(line.substr(expected.str().size())), subset["accuracy"].get<double>(), 1e-12);
    }
    std::getline(csv, line);
    std::getline(csv, line);
    const double mean = (condition["subsets"][0]["ap"].get<double>() + condition["subsets"][1]["ap"].get<double>()) / 2;
    EXPECT_NEAR(condition["mean"]["ap"].get<double>(), mean, 1e-12);
    std::ostringstream percent;
    percent.precision(1);
    percent << std::fixed << 100 * mean;
    EXPECT_THAT(result.out, HasSubstr(" " + percent.str() + " "));
    EXPECT_THAT(read_text(at("t.md")), HasSubstr("| " + percent.str() + " |"));
  }
}

TEST_F(Evaluate, GivesTheSameWhateverThreadsAndBatch) {
  const std::vector<std::string> common = {"--perturb", "noise:4", "webp:80", "--format", "json", "--view", "tiles"};
  std::vector<std::string> one = common, many = common;
  one.insert(one.end(), {"--threads", "1", "--batch", "1"});
  many.insert(many.end(), {"--threads", "4", "--batch", "7"});
  const auto a = evaluate(one), b = evaluate(many);
  ASSERT_EQ(a.exit_code, 0) << a.err;
  json first = json::parse(a.out), second = json::parse(b.out);
  first.erase("device");
  second.erase("device");
  EXPECT_EQ(first, second);
}

TEST_F(Evaluate, CountsWhatItCouldNotScore) {
  std::ofstream(folder / "val/one/1_fake/broken.png") << "\x89PNG\r\n\x1a\nbroken";
  const auto result = evaluate({"--format", "json", "--perturb", "resize:0.8"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("broken.png"));
  const json report = json::parse(result.out);
  EXPECT_EQ(report["failed"], 1);
  EXPECT_EQ(report["conditions"][0]["subsets"][0]["fakes"], 6);
  EXPECT_EQ(report["conditions"][1]["undelivered"], 0);
  const auto smaller = evaluate({"--format", "json", "--perturb", "resize:0.7"});
  EXPECT_EQ(json::parse(smaller.out)["conditions"][1]["undelivered"], 24) << "64 pixels become 45, below 48";
}

TEST_F(Evaluate, ThePapersProtocolHasAViewForEachTestSet) {
  const auto native = evaluate({"--format", "json", "--view", "native"});
  const auto rest = evaluate({"--format", "json", "--protocol", "paper", "--compare"});
  EXPECT_NE(json::parse(native.out)["conditions"], json::parse(rest.out)["conditions"]) << "resized";
  std::filesystem::rename(folder / "val", folder / "GANGen-Detection");
  std::filesystem::create_directory(folder / "val");
  std::filesystem::rename(folder / "GANGen-Detection", folder / "val/GANGen-Detection");
  const auto unresized = evaluate({"--format", "json", "--protocol", "paper", "--threshold", "0.5"});
  const json expected = json::parse(native.out)["conditions"][0]["mean"], got = json::parse(unresized.out)["conditions"][0]["mean"];
  EXPECT_EQ(got["ap"], expected["ap"]);
  EXPECT_EQ(got["ece"], expected["ece"]);
}

TEST_F(Evaluate, WritesAPageOfEveryPicture) {
  const auto result = evaluate({"--perturb", "jpeg:80,60", "--report", at("page.html"), "--output", at("same.html")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string html = read_text(at("page.html"));
  EXPECT_EQ(html, read_text(at("same.html")));
  for (const char* part : {"Means over all", "ROC", "Robustness: jpeg", "Known limits"}) EXPECT_THAT(html, HasSubstr(part));
  const std::string open = "id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  ASSERT_EQ(data["images"].size(), 24u);
  for (const json& image : data["images"]) {
    EXPECT_FALSE(image["thumbnail"].get<std::string>().empty());
    EXPECT_FALSE(image["heat"].empty());
    EXPECT_TRUE(image.contains("label"));
  }
  const auto detected = run_program(kProgram, {"detect", "--model", at("model.lfmw"), "-q", "--report", at("d.html"), at("val/one")});
  ASSERT_EQ(detected.exit_code, 0) << detected.err;
  EXPECT_THAT(read_text(at("d.html")), HasSubstr("12 pictures scored"));
}

TEST_F(Evaluate, WritesFeaturesWhoseRowsAreListed) {
  const auto result = evaluate({"--embed", at("e")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(read_text(at("e.npy")).substr(0, 128), HasSubstr("'shape': (24, 1024)"));
  const std::string rows = read_text(at("e.csv"));
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 25);
  EXPECT_THAT(rows, HasSubstr("1_fake/5.ppm,1,val,two"));
  const std::string svg = read_text(at("e.svg"));
  EXPECT_THAT(svg, HasSubstr("val/one"));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("nan")));
}

TEST_F(Evaluate, WritesEveryPicturesScoreInEveryCondition) {
  const auto result = evaluate({"--perturb", "jpeg:75", "--scores", at("scores.csv")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(read_text(at("scores.csv")));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "condition,test_set,subset,label,path,logit,score,doubt");
  int none = 0, jpeg = 0;
  while (std::getline(lines, line)) (line.starts_with("none,val,") ? none : jpeg) += 1;
  EXPECT_EQ(none, 24);
  EXPECT_EQ(jpeg, 24);
  EXPECT_THAT(read_text(at("scores.csv")), HasSubstr("jpeg:75,val,two,1," + at("val/two/class/1_fake/5.ppm")));
}

TEST_F(Evaluate, RefusesWhatMakesNoSense) {
  EXPECT_EQ(evaluate({"--perturb", "jpg:90"}).exit_code, 2);
  EXPECT_EQ(evaluate({"--output", at("t.xls")}).exit_code, 2);
  EXPECT_EQ(evaluate({"--protocol", "paper", "--view", "native"}).exit_code, 2);
  EXPECT_EQ(run_program(kProgram, {"evaluate", at("missing"), "--model", at("model.lfmw")}).exit_code, 1);
  EXPECT_EQ(run_program(kProgram, {"evaluate", at("val"), "--model", at("missing.lfmw")}).exit_code, 3);
}

}  // namespace
}  // namespace lfm::test
