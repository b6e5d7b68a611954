// Thresholds by false alarms hold in every kind of real, and say how few pictures they were measured on.
#include "src/eval/threshold_table.h"

#include <algorithm>
#include <random>

#include "tests/catch.h"
#include "tests/model/expect_error.h"

namespace lfm {
namespace {

using test::error_of;

/// Scores (first + i * step), i = 0 … n-1.
std::vector<float> ramp(std::size_t n, float first, float step) {
  std::vector<float> scores;
  for (std::size_t i = 0; i < n; ++i) scores.push_back(first + static_cast<float>(i) * step);
  return scores;
}

std::vector<float> drawn(std::size_t n, double from, double to, std::mt19937_64& random) {
  std::vector<float> scores;
  std::uniform_real_distribution<double> uniform(from, to);
  for (std::size_t i = 0; i < n; ++i) scores.push_back(static_cast<float>(uniform(random)));
  return scores;
}

std::size_t above(const std::vector<float>& scores, float threshold) {
  return static_cast<std::size_t>(std::ranges::count_if(scores, [&](float s) { return s > threshold; }));
}

TEST_CASE("ThresholdTable.HoldsInTheWorstKindAndNotInTheMean") {
  // One kind in five is shifted: the mean over kinds would allow a lower threshold.
  std::vector<ScoreGroup> groups;
  std::mt19937_64 random(3);
  for (std::size_t kind = 0; kind < 5; ++kind) {
    const double shift = kind == 4 ? 0.3 : 0;
    groups.push_back({kind, "kind", 0, drawn(200, shift, 0.5 + shift, random)});
  }
  groups.push_back({5, "fakes", 1, drawn(100, 0.4, 1, random)});
  const ThresholdTable table = fit_threshold_table(groups);
  REQUIRE(table.rows.size() == kFalseAlarmRates.size());
  CHECK(table.kinds == 5u);
  CHECK(table.generators == 1u);
  for (const ThresholdRow& row : table.rows) {
    for (std::size_t kind = 0; kind < 5; ++kind) {
      CHECK_MESSAGE(static_cast<double>(above(groups[kind].scores, row.threshold)) <= row.rate * 200, row.rate);
    }
    CHECK(row.worst.of == 200u);
    CHECK(static_cast<double>(row.worst.called) <= row.rate * 200);
    CHECK_MESSAGE(row.worst_unseen.called > row.worst.called, "the shifted kind, when the threshold did not know it");
    CHECK_THAT(row.recall, WithinAbs(static_cast<double>(above(groups[5].scores, row.threshold)) / 100, 1e-9));
    CHECK_THAT(row.false_alarms, WithinAbs(static_cast<double>(row.worst.called) / 200 / 5, 1e-9));
  }
  CHECK(table.rows[0].threshold > table.rows[1].threshold);
  CHECK(table.rows[1].threshold > table.rows[2].threshold);
}

TEST_CASE("ThresholdTable.IsCautiousWithFewPictures") {
  const std::vector<double> rates = {0.05};
  const auto called = [&](std::size_t n) {
    const std::vector<ScoreGroup> groups = {{0, "few", 0, ramp(n, 0.1f, 0.001f)}, {1, "fakes", 1, {0.9f}}};
    return fit_threshold_table(groups, rates).rows.at(0).worst.called;
  };
  // floor(0.05 (n + 1)) - 1: so the next picture is called fake with a probability of 5 % at most.
  CHECK(called(5) == 0u);
  CHECK(called(19) == 0u);
  CHECK(called(38) == 0u);
  CHECK(called(39) == 1u);
  CHECK(called(100) == 4u);
}

TEST_CASE("ThresholdTable.TheNextPictureKeepsTheRate") {
  std::mt19937_64 random(11);
  const std::vector<double> rates = {0.05};
  int called = 0;
  constexpr int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    const std::vector<ScoreGroup> groups = {{0, "kind", 0, drawn(59, 0, 1, random)}, {1, "fakes", 1, {1.0f}}};
    called += drawn(1, 0, 1, random)[0] > fit_threshold_table(groups, rates).rows[0].threshold;
  }
  CHECK_THAT(static_cast<double>(called) / rounds, WithinAbs(0.05, 0.012));
}

TEST_CASE("ThresholdTable.CamerasAndPhonesKeepAFifthOfTheRate") {
  for (const auto& [name, allowed] :
       {std::pair{"phone-photos", 4}, std::pair{"web", 24}, std::pair{"headphones", 24}}) {
    const std::vector<ScoreGroup> groups = {{0, name, 0, ramp(500, 0.1f, 0.001f)}, {1, "fakes", 1, {0.9f}}};
    const std::vector<double> rates = {0.05};
    CHECK_MESSAGE(fit_threshold_table(groups, rates).rows.at(0).worst.called == static_cast<std::size_t>(allowed),
                  name);
  }
  CHECK(is_camera_kind("set/Camera_full"));
  CHECK(is_camera_kind("night photos, phones (jpeg:75)"));
  CHECK_FALSE(is_camera_kind("microphone"));
  CHECK_FALSE(is_camera_kind(""));
}

TEST_CASE("ThresholdTable.DeliveriesOfOneSourceAreOneKindAndPicturesWithoutVerdictAreNeverFake") {
  const std::vector<ScoreGroup> groups = {{0, "a", 0, ramp(50, 0.1f, 0.001f)},
                                          {0, "a (jpeg:75)", 0, ramp(50, 0.3f, 0.001f)},
                                          {1, "drawn", 0, std::vector<float>(50, -1)},
                                          {2, "x", 1, {0.9f, -1}},
                                          {2, "x (jpeg:75)", 1, {0.2f, -1}}};
  const std::vector<double> rates = {0.1};
  const ThresholdTable table = fit_threshold_table(groups, rates);
  CHECK(table.kinds == 2u);
  CHECK(table.generators == 1u);
  const ThresholdRow& row = table.rows.at(0);
  CHECK(row.worst.name == "a (jpeg:75)");
  CHECK(row.worst.called == 4u);
  CHECK_THAT(row.recall, WithinULP(0.25, 4));
  CHECK_MESSAGE(row.worst_unseen.name == "a", "the first of equals");
  CHECK_MESSAGE(row.worst_unseen.called == 50u, "fitted on what has no verdict, any score is fake");
  CHECK(error_of(ErrorCode::input, [&] { fit_threshold_table(std::span(groups).first(3)); }) != "");
}

TEST_CASE("ThresholdTable.RatesAreReadAndRefused") {
  CHECK_THAT(parse_rate("5%"), WithinULP(0.05, 4));
  CHECK_THAT(parse_rate("0.5 %"), WithinULP(0.005, 4));
  CHECK_THAT(parse_rate("0.1"), WithinULP(0.1, 4));
  for (const char* text : {"", "%", "5", "0", "100%", "-1%", "5%%", "nan", "five"}) {
    CHECK_THAT_MESSAGE(error_of(ErrorCode::usage, [&] { parse_rate(text); }), ContainsSubstring("like 5%"), text);
  }
}

TEST_CASE("ThresholdTable.RowsAreFoundByRateAndViewOrTheRemedyIsNamed") {
  Model model;
  CHECK_THAT(error_of(ErrorCode::usage, [&] { row_at(model, 0.05, View::tiles); }),
             ContainsSubstring("--fit-calibration"));
  model.thresholds.view = View::tiles;
  for (const double rate : {0.01, 0.05}) {
    ThresholdRow row;
    row.rate = rate;
    row.threshold = static_cast<float>(0.9 - rate);
    row.false_alarms = 0.02;
    row.worst = {"screens", 2, 40};
    row.recall = 0.51;
    row.recall_low = 0.38;
    row.recall_high = 0.64;
    model.thresholds.rows.push_back(row);
  }
  model.thresholds.kinds = 14;
  model.thresholds.generators = 12;
  CHECK(row_at(model, 0.05, View::tiles).threshold == 0.85f);
  CHECK_THAT(error_of(ErrorCode::usage, [&] { row_at(model, 0.02, View::tiles); }), ContainsSubstring("1 %, 5 %"));
  CHECK_THAT(error_of(ErrorCode::usage, [&] { row_at(model, 0.05, View::native); }), ContainsSubstring("view"));
  CHECK(verdict_meaning(model.thresholds, View::tiles, 0.85f) ==
        "At this threshold, of 100 real pictures about 2 are called fake (about 5 in the worst of 14 kinds measured, "
        "screens), and of 100 "
        "generated ones about 51 are found (95 % interval 38 to 64, of 12 generators)");
  model.thresholds.rows[1].false_alarms = 0.004;
  CHECK_THAT(verdict_meaning(model.thresholds, View::tiles, 0.85f),
             ContainsSubstring("of 100 real pictures fewer than 1 is called fake"));
  CHECK(verdict_meaning(model.thresholds, View::tiles, 0.5f) == "");
  CHECK(verdict_meaning(model.thresholds, View::native, 0.85f) == "");
}

TEST_CASE("ThresholdTable.IntervalsAreWilsons") {
  const Interval none = share_interval(0, 40), two = share_interval(2, 40);
  CHECK(none.low == 0);
  CHECK_THAT(none.high, WithinAbs(0.0876, 1e-4));
  CHECK_THAT(two.low, WithinAbs(0.0138, 1e-4));
  CHECK_THAT(two.high, WithinAbs(0.1650, 1e-4));
}

}  // namespace
}  // namespace lfm
