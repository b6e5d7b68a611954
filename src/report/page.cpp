#include "src/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lfm/words.h"
#include "src/eval/curves.h"
#include "src/eval/evidence.h"
#include "src/eval/threshold_table.h"
#include "src/model/combination.h"
#include "src/model/weight_file.h"
#include "src/report/chart.h"
#include "src/report/detections.h"
#include "src/report/page_assets.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

constexpr int kHeatCells = 32;  ///< rows and columns of a heat map in the page at most

constexpr std::array kLimits = {
    "A score is evidence, not proof. It says how much a picture resembles the generated ones the model was trained on.",
    "The model looks at differences between neighbouring pixels. Re-compression, rescaling, blur and screenshots "
    "change them, and may hide or "
    "fake the traces.",
    "Where neighbouring pixels hardly differ, in flat or smooth drawn pictures or in ones enlarged pixel by pixel, "
    "there is nothing to look "
    "at: the verdict is \"unsure\".",
    "Generators unlike those it was trained on may pass as real. Edited photos may be called fake.",
    "What a file says of itself (C2PA, XMP, EXIF, a PNG's text) is shown beside the score and never enters it. It is "
    "read, not verified: it can be "
    "removed, forged, or copied from another picture. That it is missing tells nothing.",
    "A calibrated score holds for pictures like those it was calibrated on, with as many fakes as reals.",
};

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? alphabet[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

/// Contributions added up in at most kHeatCells rows and columns.
std::vector<float> coarse(const Evidence& e, int rows, int columns) {
  std::vector<float> sums(static_cast<std::size_t>(rows) * columns);
  for (int row = 0; row < e.rows; ++row) {
    for (int column = 0; column < e.columns; ++column) {
      sums[static_cast<std::size_t>(row * rows / e.rows) * columns + column * columns / e.columns] +=
          e.contributions[static_cast<std::size_t>(row) * e.columns + column];
    }
  }
  return sums;
}

/// Where the cells lie as shares of the picture, and their values as bytes, -127 … 127 of the picture's strongest.
nlohmann::json heat_json(const Detection& detection) {
  std::vector<std::vector<float>> cells;
  float strongest = 0;
  const std::span<const Evidence> evidence = evidence_of(detection, detection.decided_by);
  for (const Evidence& e : evidence) {
    cells.push_back(coarse(e, std::min(e.rows, kHeatCells), std::min(e.columns, kHeatCells)));
    for (const float value : cells.back()) strongest = std::max(strongest, std::abs(value));
  }
  nlohmann::json heat = nlohmann::json::array();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Evidence& e = evidence[i];
    std::vector<std::uint8_t> bytes;
    for (const float value : cells[i]) {
      const float share = strongest > 0 ? value / strongest : 0;
      bytes.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(std::lround(127 * share))));
    }
    // A cell stands for the stride around the centre of what its position sees.
    const double margin = (e.side - e.stride) / 2.0 - e.before;
    const double across = e.width / e.view_width, down = e.height / e.view_height;
    heat.push_back({{"x", (e.x + margin * across) / detection.width},
                    {"y", (e.y + margin * down) / detection.height},
                    {"width", e.stride * e.columns * across / detection.width},
                    {"height", e.stride * e.rows * down / detection.height},
                    {"rows", std::min(e.rows, kHeatCells)},
                    {"columns", std::min(e.columns, kHeatCells)},
                    {"values", base64(bytes)}});
  }
  return heat;
}

/// Valid inside a script element whatever the strings hold: without a '<' no tag and no comment can begin.
std::string script_json(const nlohmann::json& value) {
  std::string safe;
  for (const char c : json_text(value)) {
    c == '<' ? safe += "\\u003c" : safe += c;
  }
  return safe;
}

Chart histogram(const std::vector<float>& scores, const std::vector<std::uint8_t>& labels) {
  constexpr int bins = 25;
  const bool labelled = !labels.empty();
  std::array<std::array<double, bins>, 2> counts{};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const int bin = std::min(bins - 1, static_cast<int>(scores[i] * bins));
    ++counts[labelled ? labels[i] : 0][static_cast<std::size_t>(bin)];
  }
  Chart chart{"Scores", "score", {}, false, 0.0, {}};
  for (std::size_t s = 0; s < (labelled ? 2u : 1u); ++s) {
    ChartSeries series{labelled ? (s == 0 ? "reals" : "fakes") : "pictures", {}, false};
    for (int bin = 0; bin < bins; ++bin) {
      const double count = counts[s][static_cast<std::size_t>(bin)];
      series.points.push_back({static_cast<double>(bin) / bins, count});
      series.points.push_back({static_cast<double>(bin + 1) / bins, count});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

/// At most `count` of the points, ends included.
std::vector<OperatingPoint> some_of(const std::vector<OperatingPoint>& points, std::size_t count) {
  if (points.size() <= count) return points;
  std::vector<OperatingPoint> some;
  for (std::size_t i = 0; i < count; ++i) some.push_back(points[i * (points.size() - 1) / (count - 1)]);
  return some;
}

/// One chart per kind of perturbation measured at two values or more: AP and balanced accuracy over the value.
std::string robustness_charts(const EvaluationReport& evaluation) {
  std::map<std::string, std::vector<std::pair<double, const Condition*>>> kinds;
  for (const Condition& condition : evaluation.conditions) {
    const std::size_t colon = condition.name.find(':');
    if (colon == std::string::npos) continue;
    kinds[condition.name.substr(0, colon)].emplace_back(std::stod(condition.name.substr(colon + 1)), &condition);
  }
  std::string html;
  for (auto& [kind, points] : kinds) {
    if (points.size() < 2) continue;
    std::ranges::sort(points);
    Chart chart{
        "Robustness: " + kind, kind, {{"AP", {}, true}, {"balanced accuracy", {}, true}}, false, 0.4, 1.0, false};
    for (const auto& [value, condition] : points) {
      chart.series[0].points.push_back({value, condition->mean.ap});
      chart.series[1].points.push_back({value, condition->mean.balanced_accuracy});
    }
    html += chart_svg(chart);
  }
  return html;
}

nlohmann::json member_names(const Model& model) {
  nlohmann::json names = nlohmann::json::array();
  for (std::size_t m = 0; m < model.members.size(); ++m) names.push_back(member_name(model, m));
  return names;
}

std::string facts(const std::vector<std::filesystem::path>& files, const Model& model, View view, float threshold) {
  std::string html = "<dl>";
  const auto fact = [&](const std::string& name, const std::string& value) {
    html += fmt::format("<dt>{}<dd>{}", escape_html(name), escape_html(value));
  };
  for (const std::filesystem::path& file : files) fact("file", file.filename().string());
  if (!model.name.empty()) fact("name", model.name);
  if (model.members.empty()) {
    fact("residual", std::string(meaning_of(model.architecture.front_end)));
    fact("pooling", pooling_text(model.architecture));
  } else {
    fact("combination", std::string(meaning_of(model.combination)));
    for (std::size_t m = 0; m < model.members.size(); ++m) {
      const Model& member = model.members[m];
      fact(fmt::format("member {}", m + 1),
           fmt::format("{}: residual {}, pools {}; calls fake above {:g}", member_name(model, m),
                       word_of(member.architecture.front_end), pooling_text(member.architecture), member.threshold));
    }
  }
  fact("view", std::string(view_name(view)));
  fact("threshold", fmt::format("{:g}", threshold));
  for (const ThresholdRow& row : model.thresholds.rows) {
    fact(fmt::format("at {} false alarms", rate_text(row.rate)),
         fmt::format("threshold {:g}, recall {:.0f} %", row.threshold, 100 * row.recall));
  }
  const Calibration& c = model.calibration;
  fact("calibration", c.temperature == 1 && c.bias == 0
                          ? "none: scores are not probabilities"
                          : fmt::format("score = sigmoid(logit / {:g} + {:g})", c.temperature, c.bias));
  const auto provenance = nlohmann::json::parse(model.provenance);
  for (const auto& [key, value] : provenance.items()) {
    fact(key, value.is_string() ? value.get<std::string>() : json_text(value));
  }
  return html + "</dl>\n";
}

constexpr const char* kTools = R"(<div class="tools">
<label>Find <input id="search" type="search" size="14"></label>
<label>Show <select id="filter"><option value="all">all<option value="fake">fake<option value="real">real<option value="unsure">unsure<option value="wrong">wrong<option value="failed">failed</select></label>
<label>Sort <select id="sort"><option value="input">as given<option value="fake">fakes first<option value="real">reals first<option value="doubt">most doubtful first<option value="spread">widest spread first<option value="path">by path</select></label>
<span id="count" role="status"></span></div>
<p class="hint">Point at a picture, or move with the arrow keys, to see what its score comes from: red speaks for fake, blue for real. Enter shows it large.</p>
<div id="list" role="listbox" aria-label="Pictures"></div>
<dialog id="detail" aria-label="Picture"></dialog>
)";

}  // namespace

void ReportPage::add(const Detection& detection, std::optional<std::uint8_t> label, const std::string& group) {
  nlohmann::json record = {{"path", detection.path.string()}};
  if (!detection.part.empty()) record["part"] = detection.part;
  if (label) record["label"] = *label;
  if (!group.empty()) record["group"] = group;
  if (detection.scored()) {
    record["score"] = detection.score;
    record["logit"] = detection.logit;
    record["verdict"] = verdict_name(detection);
    if (detection.unsure) record["reason"] = doubt_text(detection);
    if (detection.empty_windows > 0) record["windows"] = {detection.windows, detection.empty_windows};
    if (!detection.member_logits.empty()) {
      record["members"] = detection.member_logits;
      record["decided_by"] = detection.decided_by;
    }
    record["width"] = detection.width;
    record["height"] = detection.height;
    if (with_spread_) {
      const auto [low, high] = score_spread(detection);
      record["low"] = low;
      record["high"] = high;
    }
    if (!detection.signs.empty()) {
      record["signs"] = nlohmann::json::array();
      for (const Sign& sign : detection.signs) record["signs"].push_back({sign.source + ": " + sign.name, sign.value});
    }
    record["thumbnail"] = base64(detection.thumbnail);
    if (!detection.evidence.empty()) record["heat"] = heat_json(detection);
    logits_.push_back(detection.logit);
    scores_.push_back(detection.score);
    if (label) labels_.push_back(*label);
    ++verdicts_[detection.unsure ? 2 : detection.fake ? 1 : 0];
  } else {
    record["error"] = detection.error;
    ++failed_;
  }
  records_.push_back(script_json(record));
}

std::string ReportPage::charts(const EvaluationReport* evaluation) const {
  std::string html = "<div class=\"charts\">\n";
  if (!scores_.empty()) html += chart_svg(histogram(scores_, labels_));
  if (const auto all = operating_points(logits_, labels_); labels_.size() == logits_.size() && !all.empty()) {
    Chart roc{"ROC: all pictures", "false alarms", {{"recall", {}, false}}, false, 0.0, 1.0};
    Chart precision{"Precision and recall: all pictures", "recall", {{"precision", {}, false}}, false, 0.0, 1.0};
    for (const OperatingPoint& point : some_of(all, 400)) {
      roc.series[0].points.push_back({point.false_alarms, point.recall});
      precision.series[0].points.push_back({point.recall, point.precision});
    }
    html += chart_svg(roc) + chart_svg(precision);
  }
  if (evaluation) html += robustness_charts(*evaluation);
  return html + "</div>\n";
}

std::string ReportPage::html(const std::string& title, const std::vector<std::filesystem::path>& model_files,
                             const Model& model, View view, float threshold, const EvaluationReport* evaluation) const {
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
      "'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n";
  html += fmt::format("<title>{0}</title>\n<style>\n{1}{2}</style>\n<h1>{0}</h1>\n", escape_html(title), chart_style(),
                      kPageStyle);
  html += fmt::format("<p class=\"status\">{} pictures: {} called real, {} fake", records_.size(), verdicts_[0],
                      verdicts_[1]);
  if (verdicts_[2] > 0) html += fmt::format(", {} unsure", verdicts_[2]);
  if (failed_ > 0) html += fmt::format("; {} could not be scored", failed_);
  html += "</p>\n";
  const std::string meaning = verdict_meaning(model.thresholds, view, threshold);
  if (!meaning.empty()) html += fmt::format("<p class=\"status\">{}.</p>\n", escape_html(meaning));
  if (evaluation) html += evaluation_html(*evaluation);
  html += charts(evaluation);
  html += "<details><summary>The model</summary>\n" + facts(model_files, model, view, threshold) + "</details>\n";
  html += "<details open><summary>Known limits</summary>\n<ul>";
  for (const char* limit : kLimits) html += fmt::format("<li>{}", escape_html(limit));
  html += "</ul></details>\n<h2>Pictures</h2>\n";
  html += kTools;
  html += fmt::format("<script type=\"application/json\" id=\"data\">{{\"threshold\":{},{}\"images\":[", threshold,
                      model.members.empty() ? "" : fmt::format("\"members\":{},", script_json(member_names(model))));
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (i > 0) html += ",\n";
    html += records_[i];
  }
  html += "]}</script>\n<script>\n";
  html += kPageScript;
  return html + "</script>\n</html>\n";
}

}  // namespace lfm
