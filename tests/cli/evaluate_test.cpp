// lfm-cuda evaluate as a user meets it.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;

class Evaluate {
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

TEST_CASE_METHOD(Evaluate, "Evaluate.ScoresAsDetectDoes") {
  const auto result = evaluate({"--format", "json"});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  const json report = json::parse(result.out);
  REQUIRE(report["conditions"].size() == 1u);
  for (const json& subset : report["conditions"][0]["subsets"]) {
    std::string where = at("val/" + subset["name"].get<std::string>());
    if (subset["name"] == "two") where += "/class";
    for (const auto& [label, share] : {std::pair{"0_real", "real_accuracy"}, std::pair{"1_fake", "fake_accuracy"}}) {
      const auto detected =
          run_program(kProgram, {"detect", "--model", at("model.lfmw"), "--format", "json", where + "/" + label});
      const json records = json::parse(detected.out);
      int fakes = 0;
      for (const json& record : records) fakes += record["label"] == "fake";
      const double called_fake = fakes / static_cast<double>(records.size());
      CHECK_THAT(subset[share].get<double>(), WithinAbs(label[0] == '1' ? called_fake : 1 - called_fake, 1e-12));
    }
    CHECK(subset["reals"] == 6);
    CHECK(subset["fakes"] == 6);
  }
}

TEST_CASE_METHOD(Evaluate, "Evaluate.EveryFormatTellsTheSame") {
  const auto result = evaluate({"--perturb", "jpeg:80", "resize:0.9", "--output", at("t.json"), "--output", at("t.csv"),
                                "--output", at("t.md"), "--output", at("t.txt")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  CHECK(result.out == read_text(at("t.txt")));
  const json report = json::parse(read_text(at("t.json")));
  REQUIRE(report["conditions"].size() == 3u);
  CHECK(report["conditions"][0]["name"] == "none");
  CHECK(report["conditions"][1]["name"] == "jpeg:80");

  std::istringstream csv(read_text(at("t.csv")));
  std::string line;
  std::getline(csv, line);
  CHECK_THAT(line, StartsWith("condition,test_set,subset,reals,fakes,accuracy,"));
  for (const json& condition : report["conditions"]) {
    for (const json& subset : condition["subsets"]) {
      std::getline(csv, line);
      std::ostringstream expected;
      expected << condition["name"].get<std::string>() << ",val," << subset["name"].get<std::string>() << ",6,6,";
      CHECK_THAT(line, StartsWith(expected.str()));
      CHECK_THAT(std::stod(line.substr(expected.str().size())), WithinAbs(subset["accuracy"].get<double>(), 1e-12));
    }
    std::getline(csv, line);
    std::getline(csv, line);
    const double mean = (condition["subsets"][0]["ap"].get<double>() + condition["subsets"][1]["ap"].get<double>()) / 2;
    CHECK_THAT(condition["mean"]["ap"].get<double>(), WithinAbs(mean, 1e-12));
    std::ostringstream percent;
    percent.precision(1);
    percent << std::fixed << 100 * mean;
    CHECK_THAT(result.out, ContainsSubstring(" " + percent.str() + " "));
    CHECK_THAT(read_text(at("t.md")), ContainsSubstring("| " + percent.str() + " |"));
  }
}

TEST_CASE_METHOD(Evaluate, "Evaluate.GivesTheSameWhateverThreadsAndBatch") {
  const std::vector<std::string> common = {"--perturb", "noise:4", "webp:80", "--format", "json", "--view", "tiles"};
  std::vector<std::string> one = common, many = common;
  one.insert(one.end(), {"--threads", "1", "--batch", "1"});
  many.insert(many.end(), {"--threads", "4", "--batch", "7"});
  const auto a = evaluate(one), b = evaluate(many);
  REQUIRE_MESSAGE(a.exit_code == 0, a.err);
  json first = json::parse(a.out), second = json::parse(b.out);
  first.erase("device");
  second.erase("device");
  CHECK(first == second);
}

TEST_CASE_METHOD(Evaluate, "Evaluate.CountsWhatItCouldNotScore") {
  std::ofstream(folder / "val/one/1_fake/broken.png") << "\x89PNG\r\n\x1a\nbroken";
  const auto result = evaluate({"--format", "json", "--perturb", "resize:0.8"});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("broken.png"));
  const json report = json::parse(result.out);
  CHECK(report["failed"] == 1);
  CHECK(report["conditions"][0]["subsets"][0]["fakes"] == 6);
  CHECK(report["conditions"][1]["undelivered"] == 0);
  const auto smaller = evaluate({"--format", "json", "--perturb", "resize:0.7"});
  CHECK_MESSAGE(json::parse(smaller.out)["conditions"][1]["undelivered"] == 24, "64 pixels become 45, below 48");
}

TEST_CASE_METHOD(Evaluate, "Evaluate.ThePapersProtocolHasAViewForEachTestSet") {
  const auto native = evaluate({"--format", "json", "--view", "native"});
  const auto rest = evaluate({"--format", "json", "--protocol", "paper", "--compare"});
  CHECK_MESSAGE(json::parse(native.out)["conditions"] != json::parse(rest.out)["conditions"], "resized");
  std::filesystem::rename(folder / "val", folder / "GANGen-Detection");
  std::filesystem::create_directory(folder / "val");
  std::filesystem::rename(folder / "GANGen-Detection", folder / "val/GANGen-Detection");
  const auto unresized = evaluate({"--format", "json", "--protocol", "paper", "--threshold", "0.5"});
  const json expected = json::parse(native.out)["conditions"][0]["mean"],
             got = json::parse(unresized.out)["conditions"][0]["mean"];
  CHECK(got["ap"] == expected["ap"]);
  CHECK(got["ece"] == expected["ece"]);
}

TEST_CASE_METHOD(Evaluate, "Evaluate.WritesAPageOfEveryPicture") {
  const auto result = evaluate({"--perturb", "jpeg:80,60", "--report", at("page.html"), "--output", at("same.html")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  const std::string html = read_text(at("page.html"));
  CHECK(html == read_text(at("same.html")));
  for (const char* part : {"Means over all", "ROC", "Robustness: jpeg", "Known limits"})
    CHECK_THAT(html, ContainsSubstring(part));
  const std::string open = "id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  REQUIRE(data["images"].size() == 24u);
  for (const json& image : data["images"]) {
    CHECK_FALSE(image["thumbnail"].get<std::string>().empty());
    CHECK_FALSE(image["heat"].empty());
    CHECK(image.contains("label"));
  }
  const auto detected =
      run_program(kProgram, {"detect", "--model", at("model.lfmw"), "-q", "--report", at("d.html"), at("val/one")});
  REQUIRE_MESSAGE(detected.exit_code == 0, detected.err);
  CHECK_THAT(read_text(at("d.html")), ContainsSubstring("12 pictures scored"));
}

TEST_CASE_METHOD(Evaluate, "Evaluate.WritesFeaturesWhoseRowsAreListed") {
  const auto result = evaluate({"--embed", at("e")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  CHECK_THAT(read_text(at("e.npy")).substr(0, 128), ContainsSubstring("'shape': (24, 1024)"));
  const std::string rows = read_text(at("e.csv"));
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 25);
  CHECK_THAT(rows, ContainsSubstring("1_fake/5.ppm,1,val,two"));
  const std::string svg = read_text(at("e.svg"));
  CHECK_THAT(svg, ContainsSubstring("val/one"));
  CHECK_THAT(svg, !ContainsSubstring("nan"));
}

TEST_CASE_METHOD(Evaluate, "Evaluate.WritesEveryPicturesScoreInEveryCondition") {
  const auto result = evaluate({"--perturb", "jpeg:75", "--scores", at("scores.csv")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  std::istringstream lines(read_text(at("scores.csv")));
  std::string line;
  std::getline(lines, line);
  CHECK(line == "condition,test_set,subset,label,path,logit,score,doubt");
  int none = 0, jpeg = 0;
  while (std::getline(lines, line)) (line.starts_with("none,val,") ? none : jpeg) += 1;
  CHECK(none == 24);
  CHECK(jpeg == 24);
  CHECK_THAT(read_text(at("scores.csv")), ContainsSubstring("jpeg:75,val,two,1," + at("val/two/class/1_fake/5.ppm")));
}

TEST_CASE_METHOD(Evaluate, "Evaluate.RefusesWhatMakesNoSense") {
  CHECK(evaluate({"--perturb", "jpg:90"}).exit_code == 2);
  CHECK(evaluate({"--output", at("t.xls")}).exit_code == 2);
  CHECK(evaluate({"--protocol", "paper", "--view", "native"}).exit_code == 2);
  CHECK(run_program(kProgram, {"evaluate", at("missing"), "--model", at("model.lfmw")}).exit_code == 1);
  CHECK(run_program(kProgram, {"evaluate", at("val"), "--model", at("missing.lfmw")}).exit_code == 3);
}

}  // namespace
}  // namespace lfm::test
