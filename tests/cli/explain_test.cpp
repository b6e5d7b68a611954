// lfm-cuda explain, detect --stable and the calibration, as a user meets them.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lfm/image.h"
#include "lfm/model.h"
#include "tests/catch.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;

class Scoring {
 protected:
  Scoring() {
    write_random_model(folder / "model.lfmw", 7);
    for (std::uint32_t i = 0; i < 8; ++i) {
      write_ppm(folder / ("val/set/0_real/" + std::to_string(i) + ".ppm"), 96, 80, i);
      write_ppm(folder / ("val/set/1_fake/" + std::to_string(i) + ".ppm"), 96, 80, 10 + i);
    }
  }
  std::string at(const std::string& name) { return (folder / name).string(); }
  ProgramResult run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--model", at("model.lfmw")});
    return run_program(kProgram, std::move(arguments));
  }
  TemporaryFolder folder;
};

TEST_CASE_METHOD(Scoring, "Scoring.ExplanationsAddUpToTheLogitInEveryView") {
  write_ppm(folder / "big.ppm", 560, 300, 3);
  const Model model = load_model(folder / "model.lfmw");
  const float bias = parameter(std::span<const float>(model.values), parameter_table(model.architecture), kHeadBias)[0];
  for (const char* view : {"native", "resize", "center", "tiles"}) {
    const auto result = run({"explain", "--view", view, "--json", "--output", at(view), at("big.ppm")});
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);
    const json record = json::parse(result.out)[0];
    const double scale = record["towards_fake"].get<double>() - record["towards_real"].get<double>();
    CHECK(scale > 0);
    CHECK_THAT_MESSAGE(record["bias"].get<double>(), WithinAbs(bias, 1e-5 * (1 + scale)), view);
    const auto detected = run({"detect", "--view", view, "--format", "json", at("big.ppm")});
    CHECK_THAT_MESSAGE(record["logit"].get<double>(),
                       WithinAbs(json::parse(detected.out)[0]["logit"].get<double>(), 1e-5 * (1 + scale)), view);
    for (const json& region : record["regions"]) {
      CHECK(region["x"].get<double>() >= 0);
      CHECK(region["x"].get<double>() + region["width"].get<double>() <= 560.001);
      CHECK(region["y"].get<double>() + region["height"].get<double>() <= 300.001);
    }
    for (const std::string file : record["files"]) CHECK(read_image(file).width > 0);
    CHECK(read_image(at(view) + "/big.sheet.png").width == 3 * 560 + 2 * 8);
  }
}

TEST_CASE_METHOD(Scoring, "Scoring.ExplainNumbersPicturesOfOneNameAndNamesThoseThatFail") {
  write_ppm(folder / "a/p.ppm", 64, 64, 1);
  write_ppm(folder / "b/p.ppm", 64, 64, 2);
  std::ofstream(folder / "b/q.png") << "broken";
  const auto result = run({"explain", "--output", at("why"), at("a"), at("b")});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.err, ContainsSubstring("q.png"));
  CHECK(std::filesystem::exists(folder / "why/p.sheet.png"));
  CHECK(std::filesystem::exists(folder / "why/p-2.sheet.png"));
  CHECK_THAT(result.out, ContainsSubstring("towards fake"));
}

TEST_CASE_METHOD(Scoring, "Scoring.StableTellsTheSpreadAndIsUnsureWhereVerdictsDiffer") {
  const auto result = run({"detect", "--stable", "--format", "json", at("val")});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  const auto plain = json::parse(run({"detect", "--format", "json", at("val")}).out);
  const auto records = json::parse(result.out);
  REQUIRE(records.size() == 16u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const json& r = records[i];
    REQUIRE(r["deliveries"].size() == 5u);
    CHECK(r["deliveries"]["none"] == plain[i]["score"]);
    double low = 1, high = 0;
    std::vector<double> scores;
    for (const auto& [name, score] : r["deliveries"].items()) {
      low = std::min(low, score.get<double>());
      high = std::max(high, score.get<double>());
      scores.push_back(score.get<double>());
    }
    std::sort(scores.begin(), scores.end());
    CHECK(r["low"] == low);
    CHECK(r["high"] == high);
    CHECK_MESSAGE(r["score"].get<double>() == scores[2], "the median");
    const double odds = scores[2] / (1 - scores[2]);
    const bool unsure = (low > 0.5) != (high > 0.5) || (odds < 1.5 && odds > 1 / 1.5);
    CHECK_MESSAGE(r["label"] == (unsure ? "unsure" : scores[2] > 0.5 ? "fake" : "real"), r.dump());
  }
  CHECK_THAT(run({"detect", "--stable", at("val")}).out, ContainsSubstring("spread"));
  CHECK_THAT(run({"detect", "--stable", "--format", "csv", at("val")}).out, ContainsSubstring("height,low,high,error"));
}

TEST_CASE_METHOD(Scoring, "Scoring.StableLeavesOutWhatAPictureIsTooSmallFor") {
  write_ppm(folder / "small.ppm", 56, 56, 1);
  const auto record = json::parse(run({"detect", "--stable", "--format", "json", at("small.ppm")}).out)[0];
  CHECK_MESSAGE(record["deliveries"]["resize:0.75"].is_null(), "56 pixels become 42, below 48");
  CHECK(record["deliveries"]["shift:3"].is_number());
}

TEST_CASE_METHOD(Scoring, "Scoring.CalibrationIsKeptInTheFileAndChangesScoresButNotLogits") {
  // The model's own ranking, so that there is something to fit: the pictures of the higher logits are called fakes.
  json ranked = json::parse(run({"detect", "--format", "json", at("val")}).out);
  std::sort(ranked.begin(), ranked.end(), [](const json& a, const json& b) { return a["logit"] < b["logit"]; });
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const bool fake = i >= ranked.size() / 2 - 1 && i != ranked.size() / 2;  // but for one
    const auto to = folder / fmt::format("ranked/{}/{}.ppm", fake ? "1_fake" : "0_real", i);
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy_file(ranked[i]["path"].get<std::string>(), to);
  }
  const auto fitted = run({"evaluate", at("ranked"), "--bootstrap", "0", "--fit-calibration", at("calibrated.lfmw")});
  REQUIRE_MESSAGE(fitted.exit_code == 0, fitted.err);
  const Model model = load_model(at("calibrated.lfmw"));
  CHECK(model.calibration.temperature != 1);
  CHECK_THAT(model.provenance, ContainsSubstring("ranked"));
  CHECK(model.values == load_model(at("model.lfmw")).values);
  const auto before = json::parse(run({"detect", "--format", "json", at("val")}).out);
  const auto after = json::parse(
      run_program(kProgram, {"detect", "--model", at("calibrated.lfmw"), "--format", "json", at("val")}).out);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(before[i]["logit"] == after[i]["logit"]);
    const double x = before[i]["logit"].get<double>() / model.calibration.temperature + model.calibration.bias;
    CHECK_THAT(after[i]["score"].get<double>(), WithinAbs(1 / (1 + std::exp(-x)), 1e-6));
    CHECK(after[i]["label"] == (after[i]["score"].get<float>() > model.threshold ? "fake" : "real"));
  }
  CHECK_THAT(run_program(kProgram, {"info", at("calibrated.lfmw")}).out, ContainsSubstring("sigmoid(logit / "));
}

TEST_CASE_METHOD(Scoring, "Scoring.ThresholdsByFalseAlarmsAreFittedKeptAndChosen") {
  const auto without = run({"detect", "--threshold-at", "5%", at("val")});
  CHECK(without.exit_code == 2);
  CHECK_THAT(without.err, ContainsSubstring("--fit-calibration"));

  // Two kinds of reals, one of a single sub-dataset of fakes; the fakes are the pictures of the higher logits, but for
  // one.
  json ranked = json::parse(run({"detect", "--format", "json", at("val")}).out);
  std::sort(ranked.begin(), ranked.end(), [](const json& a, const json& b) { return a["logit"] < b["logit"]; });
  const std::size_t fakes_from = ranked.size() / 2;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const bool fake = i >= fakes_from && i != ranked.size() - 1;
    const std::string place = fake ? "made/1_fake" : i % 2 == 0 ? "web/0_real" : "phone/0_real";
    std::filesystem::create_directories(folder / "kinds" / place);
    std::filesystem::copy_file(ranked[i]["path"].get<std::string>(),
                               folder / "kinds" / place / fmt::format("{}.ppm", i));
  }
  const auto fitted = run(
      {"evaluate", at("kinds"), "--bootstrap", "0", "--perturb", "jpeg:90", "--fit-calibration", at("fitted.lfmw")});
  REQUIRE_MESSAGE(fitted.exit_code == 0, fitted.err);
  CHECK_THAT(fitted.err, ContainsSubstring("of 100 real pictures"));
  const Model model = load_model(at("fitted.lfmw"));
  REQUIRE(model.thresholds.rows.size() == 3u);
  CHECK_MESSAGE(model.threshold == model.thresholds.rows[1].threshold, "5 %");
  CHECK(model.thresholds.kinds == 2u);
  CHECK(model.thresholds.generators == 1u);
  CHECK(model.thresholds.reals + model.thresholds.fakes == ranked.size());
  CHECK(model.thresholds.conditions == (std::vector<std::string>{"none", "jpeg:90"}));
  CHECK_MESSAGE(model.thresholds.rows[0].worst.called == 0u, "too few for 1 %: none may be called fake");
  CHECK_MESSAGE(model.thresholds.rows[0].worst_unseen.called >= 1u, "the outlier, where its kind was not known");

  const auto info = run_program(kProgram, {"info", at("fitted.lfmw")});
  CHECK_THAT(info.out, ContainsSubstring("2 kinds"));
  CHECK_THAT(info.out, ContainsSubstring("10 %"));
  CHECK(json::parse(run_program(kProgram, {"info", "--json", at("fitted.lfmw")}).out)["thresholds"]["rows"].size() ==
        3u);

  // convert keeps the table, also by way of safetensors, and chooses from it.
  REQUIRE(run_program(kProgram, {"convert", at("fitted.lfmw"), at("fitted.safetensors")}).exit_code == 0);
  REQUIRE(run_program(kProgram, {"convert", "--threshold-at", "1%", at("fitted.safetensors"), at("strict.lfmw")})
              .exit_code == 0);
  CHECK(load_model(at("strict.lfmw")).threshold == model.thresholds.rows[0].threshold);
  CHECK(load_model(at("strict.lfmw")).thresholds.rows.size() == 3u);

  const auto at_rate = [&](const std::string& rate, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"detect",   "--model", at("fitted.lfmw"), "--threshold-at", rate,
                                          "--format", "json",    at("val")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(kProgram, arguments);
  };
  for (const ThresholdRow& row : model.thresholds.rows) {
    const auto result = at_rate(fmt::format("{}", row.rate));
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);
    for (const json& record : json::parse(result.out)) {
      CHECK(record["label"] == (record["score"].get<float>() > row.threshold ? "fake" : "real"));
    }
    CHECK_THAT(result.err, ContainsSubstring("of 100 generated ones"));
  }
  CHECK(at_rate("2%").exit_code == 2);
  CHECK_THAT(at_rate("2%").err, ContainsSubstring("1 %, 5 %, 10 %"));
  CHECK(at_rate("5%", {"--view", "resize"}).exit_code == 2);
  CHECK(at_rate("5%", {"--threshold", "0.5"}).exit_code == 2);
  CHECK(at_rate("many").exit_code == 2);
  const auto other = run_program(kProgram, {"detect", "--model", at("fitted.lfmw"), "--threshold", "0.123", at("val")});
  CHECK_THAT_MESSAGE(other.err, !ContainsSubstring("of 100"), "nothing is known of another threshold");

  const auto balanced = run(
      {"evaluate", at("kinds"), "--bootstrap", "0", "--fit-calibration", at("b.lfmw"), "--fit-threshold", "balanced"});
  REQUIRE_MESSAGE(balanced.exit_code == 0, balanced.err);
  CHECK(load_model(at("b.lfmw")).threshold < load_model(at("b.lfmw")).thresholds.rows[0].threshold);
  CHECK(run({"evaluate", at("kinds"), "--fit-threshold", "3%"}).exit_code == 2);
  CHECK_MESSAGE(run({"evaluate", at("kinds"), "--fit-threshold", "5%"}).exit_code == 2, "goes with --fit-calibration");
}

TEST_CASE_METHOD(Scoring, "Scoring.EvaluateMeasuresTheStableAnswers") {
  const auto result = run({"evaluate", at("val"), "--stable", "--bootstrap", "0", "--format", "json"});
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  const json conditions = json::parse(result.out)["conditions"];
  REQUIRE(conditions.size() == 7u);
  CHECK(conditions[5]["name"] == "median");
  CHECK(conditions[6]["name"] == "median-where-sure");
  const json records = json::parse(run({"detect", "--stable", "--format", "json", at("val")}).out);
  int unsure = 0;
  for (const json& r : records) unsure += r["label"] == "unsure";
  CHECK(conditions[6]["undelivered"] == unsure);
  CHECK(run({"evaluate", at("val"), "--stable", "--perturb", "jpeg:80"}).exit_code == 2);
}

}  // namespace
}  // namespace lfm::test
