// lfm-cuda explain, detect --stable and the calibration, as a user meets them.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lfm/image.h"
#include "lfm/model.h"
#include "tests/cli/program.h"
#include "tests/cli/sample_inputs.h"
#include "tests/paths.h"

namespace lfm::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Scoring : public ::testing::Test {
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

TEST_F(Scoring, ExplanationsAddUpToTheLogitInEveryView) {
  write_ppm(folder / "big.ppm", 560, 300, 3);
  const Model model = load_model(folder / "model.lfmw");
  const float bias = parameter(std::span<const float>(model.values), parameter_table(model.architecture), kHeadBias)[0];
  for (const char* view : {"native", "resize", "center", "tiles"}) {
    const auto result = run({"explain", "--view", view, "--json", "--output", at(view), at("big.ppm")});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const json record = json::parse(result.out)[0];
    const double scale = record["towards_fake"].get<double>() - record["towards_real"].get<double>();
    EXPECT_GT(scale, 0);
    EXPECT_NEAR(record["bias"].get<double>(), bias, 1e-5 * (1 + scale)) << view;
    const auto detected = run({"detect", "--view", view, "--format", "json", at("big.ppm")});
    EXPECT_NEAR(record["logit"].get<double>(), json::parse(detected.out)[0]["logit"].get<double>(), 1e-5 * (1 + scale)) << view;
    for (const json& region : record["regions"]) {
      EXPECT_GE(region["x"].get<double>(), 0);
      EXPECT_LE(region["x"].get<double>() + region["width"].get<double>(), 560.001);
      EXPECT_LE(region["y"].get<double>() + region["height"].get<double>(), 300.001);
    }
    for (const std::string file : record["files"]) EXPECT_GT(read_image(file).width, 0);
    EXPECT_EQ(read_image(at(view) + "/big.sheet.png").width, 3 * 560 + 2 * 8);
  }
}

TEST_F(Scoring, ExplainNumbersPicturesOfOneNameAndNamesThoseThatFail) {
  write_ppm(folder / "a/p.ppm", 64, 64, 1);
  write_ppm(folder / "b/p.ppm", 64, 64, 2);
  std::ofstream(folder / "b/q.png") << "broken";
  const auto result = run({"explain", "--output", at("why"), at("a"), at("b")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("q.png"));
  EXPECT_TRUE(std::filesystem::exists(folder / "why/p.sheet.png"));
  EXPECT_TRUE(std::filesystem::exists(folder / "why/p-2.sheet.png"));
  EXPECT_THAT(result.out, HasSubstr("towards fake"));
}

TEST_F(Scoring, StableTellsTheSpreadAndIsUnsureWhereVerdictsDiffer) {
  const auto result = run({"detect", "--stable", "--format", "json", at("val")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto plain = json::parse(run({"detect", "--format", "json", at("val")}).out);
  const auto records = json::parse(result.out);
  ASSERT_EQ(records.size(), 16u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const json& r = records[i];
    ASSERT_EQ(r["deliveries"].size(), 5u);
    EXPECT_EQ(r["deliveries"]["none"], plain[i]["score"]);
    double low = 1, high = 0;
    std::vector<double> scores;
    for (const auto& [name, score] : r["deliveries"].items()) {
      low = std::min(low, score.get<double>());
      high = std::max(high, score.get<double>());
      scores.push_back(score.get<double>());
    }
    std::sort(scores.begin(), scores.end());
    EXPECT_EQ(r["low"], low);
    EXPECT_EQ(r["high"], high);
    EXPECT_EQ(r["score"].get<double>(), scores[2]) << "the median";
    const double odds = scores[2] / (1 - scores[2]);
    const bool unsure = (low > 0.5) != (high > 0.5) || (odds < 1.5 && odds > 1 / 1.5);
    EXPECT_EQ(r["label"], unsure ? "unsure" : scores[2] > 0.5 ? "fake" : "real") << r.dump();
  }
  EXPECT_THAT(run({"detect", "--stable", at("val")}).out, HasSubstr("spread"));
  EXPECT_THAT(run({"detect", "--stable", "--format", "csv", at("val")}).out, HasSubstr("height,low,high,error"));
}

TEST_F(Scoring, StableLeavesOutWhatAPictureIsTooSmallFor) {
  write_ppm(folder / "small.ppm", 56, 56, 1);
  const auto record = json::parse(run({"detect", "--stable", "--format", "json", at("small.ppm")}).out)[0];
  EXPECT_TRUE(record["deliveries"]["resize:0.75"].is_null()) << "56 pixels become 42, below 48";
  EXPECT_TRUE(record["deliveries"]["shift:3"].is_number());
}

TEST_F(Scoring, CalibrationIsKeptInTheFileAndChangesScoresButNotLogits) {
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
  ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
  const Model model = load_model(at("calibrated.lfmw"));
  EXPECT_NE(model.calibration.temperature, 1);
  EXPECT_THAT(model.provenance, HasSubstr("ranked"));
  EXPECT_EQ(model.values, load_model(at("model.lfmw")).values);
  const auto before = json::parse(run({"detect", "--format", "json", at("val")}).out);
  const auto after = json::parse(run_program(kProgram, {"detect", "--model", at("calibrated.lfmw"), "--format", "json", at("val")}).out);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i]["logit"], after[i]["logit"]);
    const double x = before[i]["logit"].get<double>() / model.calibration.temperature + model.calibration.bias;
    EXPECT_NEAR(after[i]["score"].get<double>(), 1 / (1 + std::exp(-x)), 1e-6);
    EXPECT_EQ(after[i]["label"], after[i]["score"].get<float>() > model.threshold ? "fake" : "real");
  }
  EXPECT_THAT(run_program(kProgram, {"info", at("calibrated.lfmw")}).out, HasSubstr("sigmoid(logit / "));
}

TEST_F(Scoring, ThresholdsByFalseAlarmsAreFittedKeptAndChosen) {
  const auto without = run({"detect", "--threshold-at", "5%", at("val")});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.err, HasSubstr("--fit-calibration"));

  // Two kinds of reals, one of a single sub-dataset of fakes; the fakes are the pictures of the higher logits, but for one.
  json ranked = json::parse(run({"detect", "--format", "json", at("val")}).out);
  std::sort(ranked.begin(), ranked.end(), [](const json& a, const json& b) { return a["logit"] < b["logit"]; });
  const std::size_t fakes_from = ranked.size() / 2;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const bool fake = i >= fakes_from && i != ranked.size() - 1;
    const std::string place = fake ? "made/1_fake" : i % 2 == 0 ? "web/0_real" : "phone/0_real";
    std::filesystem::create_directories(folder / "kinds" / place);
    std::filesystem::copy_file(ranked[i]["path"].get<std::string>(), folder / "kinds" / place / fmt::format("{}.ppm", i));
  }
  const auto fitted = run({"evaluate", at("kinds"), "--bootstrap", "0", "--perturb", "jpeg:90", "--fit-calibration", at("fitted.lfmw")});
  ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
  EXPECT_THAT(fitted.err, HasSubstr("of 100 real pictures"));
  const Model model = load_model(at("fitted.lfmw"));
  ASSERT_EQ(model.thresholds.rows.size(), 3u);
  EXPECT_EQ(model.threshold, model.thresholds.rows[1].threshold) << "5 %";
  EXPECT_EQ(model.thresholds.kinds, 2u);
  EXPECT_EQ(model.thresholds.generators, 1u);
  EXPECT_EQ(model.thresholds.reals + model.thresholds.fakes, ranked.size());
  EXPECT_EQ(model.thresholds.conditions, (std::vector<std::string>{"none", "jpeg:90"}));
  EXPECT_EQ(model.thresholds.rows[0].worst.called, 0u) << "too few for 1 %: none may be called fake";
  EXPECT_GE(model.thresholds.rows[0].worst_unseen.called, 1u) << "the outlier, where its kind was not known";

  const auto info = run_program(kProgram, {"info", at("fitted.lfmw")});
  EXPECT_THAT(info.out, HasSubstr("2 kinds"));
  EXPECT_THAT(info.out, HasSubstr("10 %"));
  EXPECT_EQ(json::parse(run_program(kProgram, {"info", "--json", at("fitted.lfmw")}).out)["thresholds"]["rows"].size(), 3u);

  // convert keeps the table, also by way of safetensors, and chooses from it.
  ASSERT_EQ(run_program(kProgram, {"convert", at("fitted.lfmw"), at("fitted.safetensors")}).exit_code, 0);
  ASSERT_EQ(run_program(kProgram, {"convert", "--threshold-at", "1%", at("fitted.safetensors"), at("strict.lfmw")}).exit_code, 0);
  EXPECT_EQ(load_model(at("strict.lfmw")).threshold, model.thresholds.rows[0].threshold);
  EXPECT_EQ(load_model(at("strict.lfmw")).thresholds.rows.size(), 3u);

  const auto at_rate = [&](const std::string& rate, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"detect", "--model", at("fitted.lfmw"), "--threshold-at", rate, "--format", "json", at("val")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(kProgram, arguments);
  };
  for (const ThresholdRow& row : model.thresholds.rows) {
    const auto result = at_rate(fmt::format("{}", row.rate));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    for (const json& record : json::parse(result.out)) {
      EXPECT_EQ(record["label"], record["score"].get<float>() > row.threshold ? "fake" : "real");
    }
    EXPECT_THAT(result.err, HasSubstr("of 100 generated ones"));
  }
  EXPECT_EQ(at_rate("2%").exit_code, 2);
  EXPECT_THAT(at_rate("2%").err, HasSubstr("1 %, 5 %, 10 %"));
  EXPECT_EQ(at_rate("5%", {"--view", "resize"}).exit_code, 2);
  EXPECT_EQ(at_rate("5%", {"--threshold", "0.5"}).exit_code, 2);
  EXPECT_EQ(at_rate("many").exit_code, 2);
  const auto other = run_program(kProgram, {"detect", "--model", at("fitted.lfmw"), "--threshold", "0.123", at("val")});
  EXPECT_THAT(other.err, ::testing::Not(HasSubstr("of 100"))) << "nothing is known of another threshold";

  const auto balanced = run({"evaluate", at("kinds"), "--bootstrap", "0", "--fit-calibration", at("b.lfmw"), "--fit-threshold", "balanced"});
  ASSERT_EQ(balanced.exit_code, 0) << balanced.err;
  EXPECT_LT(load_model(at("b.lfmw")).threshold, load_model(at("b.lfmw")).thresholds.rows[0].threshold);
  EXPECT_EQ(run({"evaluate", at("kinds"), "--fit-threshold", "3%"}).exit_code, 2);
  EXPECT_EQ(run({"evaluate", at("kinds"), "--fit-threshold", "5%"}).exit_code, 2) << "goes with --fit-calibration";
}

TEST_F(Scoring, EvaluateMeasuresTheStableAnswers) {
  const auto result = run({"evaluate", at("val"), "--stable", "--bootstrap", "0", "--format", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json conditions = json::parse(result.out)["conditions"];
  ASSERT_EQ(conditions.size(), 7u);
  EXPECT_EQ(conditions[5]["name"], "median");
  EXPECT_EQ(conditions[6]["name"], "median-where-sure");
  const json records = json::parse(run({"detect", "--stable", "--format", "json", at("val")}).out);
  int unsure = 0;
  for (const json& r : records) unsure += r["label"] == "unsure";
  EXPECT_EQ(conditions[6]["undelivered"], unsure);
  EXPECT_EQ(run({"evaluate", at("val"), "--stable", "--perturb", "jpeg:80"}).exit_code, 2);
}

}  // namespace
}  // namespace lfm::test
