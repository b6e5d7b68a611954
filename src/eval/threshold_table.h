// Thresholds by false alarms: how high a score has to be so that few reals of any kind are called fake, and how many
// fakes that finds.
//
// A rate holds for the worst kind of real, not for the mean over kinds, in every way the pictures were delivered; for
// kinds named after cameras or phones a fifth of it. Of n reals of a kind at most floor(rate * (n + 1)) - 1 may lie
// above the threshold: then the probability that the next picture of that kind does is at most the rate (an order
// statistic, as in conformal prediction). Where n is too small for that, none may.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lfm/model.h"
#include "src/eval/bootstrap.h"

namespace lfm {

/// The rates that are fitted.
inline constexpr std::array kFalseAlarmRates = {0.01, 0.05, 0.10};
/// The one whose threshold becomes the model's.
inline constexpr double kShippedRate = 0.05;

/// Scores of one source's reals or fakes, delivered one way.
struct ScoreGroup {
  std::size_t source = 0;     ///< the same for all deliveries of the same pictures
  std::string name;           ///< for people
  std::uint8_t label = 0;     ///< 1 = fake
  std::vector<float> scores;  ///< below 0 for a picture that gets no verdict: never called fake
};

/// A row a rate, in their order; `view` and the numbers of pictures are the caller's to fill in. Throws Error{input}
/// unless there are reals and fakes.
ThresholdTable fit_threshold_table(std::span<const ScoreGroup> groups,
                                   std::span<const double> rates = kFalseAlarmRates);

/// Whether a kind of real is named after cameras or phones, as a word: "phone-photos", not "headphones".
bool is_camera_kind(std::string_view name);

/// The row fitted for a rate. Throws Error{usage} naming the remedy where there is none, or where it was fitted for
/// another view.
const ThresholdRow& row_at(const Model& model, double rate, View view);

/// "5%", "5 %" or "0.05" as a share. Throws Error{usage}.
double parse_rate(const std::string& text);
/// 0.05 as "5 %".
std::string rate_text(double rate);

/// What a verdict at this threshold means, in words and numbers; empty where the table does not tell.
std::string verdict_meaning(const ThresholdTable& table, View view, float threshold);

/// The 95 % interval of a share of which `called` of `of` were seen (Wilson's score interval).
Interval share_interval(std::size_t called, std::size_t of);

}  // namespace lfm
