#include "src/eval/threshold_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>

#include "lfm/error.h"
#include "src/model/weight_file.h"

namespace lfm {
namespace {

constexpr double kCameraFactor = 0.2;  ///< of a rate, for photographs straight from cameras and phones

using Group = ScoreGroup;
using Groups = std::vector<const ScoreGroup*>;

std::size_t called_fake(const Group& group, float threshold) {
  return static_cast<std::size_t>(std::ranges::count_if(group.scores, [&](float score) { return score > threshold; }));
}

double share_called(const Group& group, float threshold) {
  return static_cast<double>(called_fake(group, threshold)) / static_cast<double>(group.scores.size());
}

/// The lowest threshold that keeps one kind's false alarms at the rate: one of its scores, or 0.
float least_threshold(const Group& reals, double rate) {
  std::vector<float> descending = reals.scores;
  std::ranges::sort(descending, std::greater<>());
  const double allowed = std::floor(rate * static_cast<double>(descending.size() + 1) + 1e-9) - 1;
  const auto above = static_cast<std::size_t>(std::max(0.0, allowed));
  return above < descending.size() ? std::max(0.0f, descending[above]) : 0.0f;
}

/// The lowest threshold that serves every kind, half-way to the next score of any picture, so that a last bit decides
/// nothing.
float threshold_for(const Groups& reals, std::span<const ScoreGroup> all, double rate) {
  float least = 0;
  for (const Group* group : reals) {
    least = std::max(least, least_threshold(*group, is_camera_kind(group->name) ? kCameraFactor * rate : rate));
  }
  float next = 1;
  for (const Group& group : all) {
    for (const float score : group.scores) {
      if (score > least) next = std::min(next, score);
    }
  }
  const float middle = least + (next - least) / 2;
  return middle < next ? middle : least;
}

/// Of recall as a mean over generators, each the mean over its deliveries: resamples the generators, since the next one
/// will be another.
Interval recall_interval(const std::vector<double>& recall_of_source) {
  constexpr int resamples = 2000;
  std::mt19937_64 random(1);
  std::vector<double> means;
  for (int i = 0; i < resamples; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < recall_of_source.size(); ++j)
      sum += recall_of_source[random() % recall_of_source.size()];
    means.push_back(sum / static_cast<double>(recall_of_source.size()));
  }
  return percentile_interval(means);
}

std::set<std::size_t> sources_of(const Groups& groups) {
  std::set<std::size_t> sources;
  for (const Group* group : groups) sources.insert(group->source);
  return sources;
}

/// The mean over a source's deliveries, a value a source.
std::vector<double> shares_by_source(const Groups& groups, float threshold) {
  std::vector<double> shares;
  for (const std::size_t source : sources_of(groups)) {
    double sum = 0, count = 0;
    for (const Group* group : groups) {
      if (group->source != source) continue;
      sum += share_called(*group, threshold);
      ++count;
    }
    shares.push_back(sum / count);
  }
  return shares;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void raise(WorstKind& worst, const Group& group, float threshold) {
  const std::size_t called = called_fake(group, threshold);
  const bool higher = worst.of == 0 || called * worst.of > worst.called * group.scores.size();
  if (higher) worst = {group.name, called, group.scores.size()};
}

/// The worst kind where the threshold was fitted on the others.
WorstKind worst_unseen(const Groups& reals, std::span<const ScoreGroup> all, double rate) {
  WorstKind worst;
  const std::set<std::size_t> sources = sources_of(reals);
  if (sources.size() < 2) return worst;
  for (const std::size_t left_out : sources) {
    Groups others;
    std::ranges::copy_if(reals, std::back_inserter(others),
                         [&](const Group* group) { return group->source != left_out; });
    const float threshold = threshold_for(others, all, rate);
    for (const Group* group : reals) {
      if (group->source == left_out) raise(worst, *group, threshold);
    }
  }
  return worst;
}

/// "5", "0.3", "less than 0.1": of a hundred.
std::string of_hundred(double share) {
  const double count = 100 * share;
  if (count == 0) return "none";
  return count < 0.95 ? "fewer than 1" : fmt::format("about {:.0f}", count);
}

}  // namespace

bool is_camera_kind(std::string_view name) {
  constexpr std::array<std::string_view, 6> words = {"camera", "cameras",    "phone",
                                                     "phones", "smartphone", "smartphones"};
  std::string word;
  const auto ends_with_word = [&] {
    const bool found = std::ranges::find(words, word) != words.end();
    word.clear();
    return found;
  };
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) {
      word += static_cast<char>(c | 0x20);
    } else if (ends_with_word()) {
      return true;
    }
  }
  return ends_with_word();
}

Interval share_interval(std::size_t called, std::size_t of) {
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(called) / n, scale = 1 / (1 + z * z / n);
  const double centre = scale * (p + z * z / (2 * n)),
               half = scale * z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

ThresholdTable fit_threshold_table(std::span<const ScoreGroup> groups, std::span<const double> rates) {
  Groups reals, fakes;
  for (const Group& group : groups) {
    if (!group.scores.empty()) (group.label == 1 ? fakes : reals).push_back(&group);
  }
  if (reals.empty() || fakes.empty())
    throw Error(ErrorCode::input, "thresholds by false alarms need both reals and fakes");
  ThresholdTable table;
  table.kinds = sources_of(reals).size();
  table.generators = sources_of(fakes).size();
  for (const double rate : rates) {
    ThresholdRow row;
    row.rate = rate;
    row.threshold = threshold_for(reals, groups, rate);
    row.false_alarms = mean(shares_by_source(reals, row.threshold));
    for (const Group* group : reals) raise(row.worst, *group, row.threshold);
    row.worst_unseen = worst_unseen(reals, groups, rate);
    const std::vector<double> recall = shares_by_source(fakes, row.threshold);
    const Interval interval = recall_interval(recall);
    row.recall = mean(recall);
    row.recall_low = interval.low;
    row.recall_high = interval.high;
    table.rows.push_back(row);
  }
  return table;
}

double parse_rate(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit == "%") value /= 100;
  if (error != std::errc() || !(unit.empty() || unit == "%") || !(value > 0 && value < 1)) {
    throw Error(ErrorCode::usage, fmt::format("'{}' is no rate of false alarms; give one like 5%", text));
  }
  return value;
}

std::string rate_text(double rate) { return fmt::format("{:g} %", 100 * rate); }

const ThresholdRow& row_at(const Model& model, double rate, View view) {
  const ThresholdTable& table = model.thresholds;
  const std::string name = model.name.empty() ? "the model" : fmt::format("the model \"{}\"", model.name);
  if (table.rows.empty()) {
    throw Error(ErrorCode::usage, fmt::format("{} has no table of thresholds by false alarms; fit one on pictures it "
                                              "was not trained on, with lfm-cuda evaluate "
                                              "FOLDERS --fit-calibration NEW.lfmw, or give --threshold",
                                              name));
  }
  std::string known;
  for (const ThresholdRow& row : table.rows) {
    if (std::abs(row.rate - rate) > 1e-9) {
      known += (known.empty() ? "" : ", ") + rate_text(row.rate);
      continue;
    }
    if (table.view == view) return row;
    throw Error(
        ErrorCode::usage,
        fmt::format("{}'s thresholds by false alarms were fitted for the view {}, not {}; leave --view out, or give "
                    "--threshold",
                    name, view_name(table.view), view_name(view)));
  }
  throw Error(ErrorCode::usage,
              fmt::format("{} has thresholds for false alarms of {}, not of {}", name, known, rate_text(rate)));
}

std::string verdict_meaning(const ThresholdTable& table, View view, float threshold) {
  const auto row = std::ranges::find(table.rows, threshold, &ThresholdRow::threshold);
  if (row == table.rows.end() || table.view != view) return {};
  const double worst = static_cast<double>(row->worst.called) / static_cast<double>(row->worst.of);
  return fmt::format(
      "At this threshold, of 100 real pictures {} {} called fake ({} in the worst of {} kinds measured, {}), and of "
      "100 generated ones {} are "
      "found (95 % interval {:.0f} to {:.0f}, of {} {})",
      of_hundred(row->false_alarms), 100 * row->false_alarms > 1.5 || row->false_alarms == 0 ? "are" : "is",
      of_hundred(worst), table.kinds, row->worst.name, of_hundred(row->recall), 100 * row->recall_low,
      100 * row->recall_high, table.generators, table.generators == 1 ? "generator" : "generators");
}

}  // namespace lfm
