#include "src/report/detections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "src/report/csv.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

std::string json_string(const std::string& text) { return json_text(nlohmann::json(text)); }

using Names = std::span<const std::string>;

std::string json_spread(const Detection& d, Names deliveries) {
  if (deliveries.empty()) return {};
  const auto [low, high] = score_spread(d);
  std::string text = fmt::format(R"(,"low":{},"high":{},"deliveries":{{)", low, high);
  for (std::size_t i = 0; i < deliveries.size(); ++i) {
    const float score = d.delivered_scores[i];
    text += fmt::format("{}{}:{}", i == 0 ? "" : ",", json_string(deliveries[i]),
                        std::isnan(score) ? "null" : fmt::format("{}", score));
  }
  return text + '}';
}

std::string json_signs(const Detection& d) {
  std::string text;
  for (const Sign& sign : d.signs) {
    text += fmt::format(R"({}{{"source":{},"name":{},"value":{}}})", text.empty() ? "" : ",", json_string(sign.source),
                        json_string(sign.name), json_string(sign.value));
  }
  return text.empty() ? text : ",\"signs\":[" + text + "]";
}

std::string json_members(const Detection& d, Names members) {
  if (members.size() < 2) return {};
  std::string text;
  for (std::size_t m = 0; m < members.size(); ++m) {
    text +=
        fmt::format(R"({}{{"name":{},"logit":{}}})", m == 0 ? "" : ",", json_string(members[m]), d.member_logits[m]);
  }
  return fmt::format(R"(,"members":[{}],"decided_by":{})", text, d.decided_by + 1);
}

std::string csv_members(const Detection& d, Names members) {
  if (members.size() < 2) return {};
  std::string text;
  for (std::size_t m = 0; m < members.size(); ++m) text += d.scored() ? fmt::format(",{}", d.member_logits[m]) : ",";
  return text + (d.scored() ? fmt::format(",{}", d.decided_by + 1) : ",");
}

std::string json_record(const Detection& d, Names deliveries, Names members) {
  const std::string path = json_string(d.path.string()) + (d.part.empty() ? "" : ",\"part\":" + json_string(d.part));
  if (!d.scored()) return fmt::format(R"({{"path":{},"error":{}}})", path, json_string(d.error));
  const std::string turned = d.orientation == 1 ? "" : fmt::format(R"(,"orientation":{})", d.orientation);
  return fmt::format(
      R"({{"path":{},"logit":{},"score":{},"label":"{}"{},"width":{},"height":{}{},"texture":{},"windows":{},"empty_windows":{}{}{}{}}})",
      path, d.logit, d.score, verdict_name(d), d.unsure ? fmt::format(R"(,"reason":"{}")", doubt_name(d.doubt)) : "",
      d.width, d.height, turned, d.texture, d.windows, d.empty_windows, json_spread(d, deliveries),
      json_members(d, members), json_signs(d));
}

std::string csv_record(const Detection& d, Names deliveries, Names members) {
  const std::string path = csv_text(d.path.string());
  if (!d.scored()) {
    return fmt::format("{},,,,,,{}{},,{}{}\n", path, deliveries.empty() ? "" : ",,", csv_text(d.error),
                       csv_text(d.part), csv_members(d, members));
  }
  std::string spread;
  if (!deliveries.empty()) {
    const auto [low, high] = score_spread(d);
    spread = fmt::format("{},{},", low, high);
  }
  return fmt::format("{},{},{},{},{},{},{},{},{}{}\n", path, d.logit, d.score, verdict_name(d), d.width, d.height,
                     spread, doubt_name(d.doubt), csv_text(d.part), csv_members(d, members));
}

std::string member_columns(std::size_t members) {
  if (members < 2) return {};
  std::string text;
  for (std::size_t m = 0; m < members; ++m) text += fmt::format(",member_{}", m + 1);
  return text + ",decided_by";
}

std::string table_record(const Detection& d, Names deliveries) {
  const std::string path = printable(d.path.string()) + (d.part.empty() ? "" : fmt::format(" ({})", printable(d.part)));
  std::string spread;
  if (!deliveries.empty()) {
    const auto [low, high] = d.scored() ? score_spread(d) : std::pair{0.0f, 0.0f};
    spread = d.scored() ? fmt::format("{:5.3f}-{:5.3f}  ", low, high) : fmt::format("{:>11}  ", "-");
  }
  if (!d.scored())
    return fmt::format("{:>6}  {:<7}  {}{:>8}  {:>11}  {}: {}\n", "-", "failed", spread, "-", "-", path,
                       printable(d.error));
  return fmt::format("{:6.4f}  {:<7}  {}{:>8.3f}  {:>11}  {}{}{}\n", d.score, verdict_name(d), spread, d.logit,
                     fmt::format("{}x{}", d.width, d.height), path, d.unsure ? ": " : "", doubt_text(d));
}

}  // namespace

const char* verdict_name(const Detection& d) { return d.unsure ? "unsure" : d.fake ? "fake" : "real"; }

const char* doubt_name(Doubt doubt) {
  switch (doubt) {
    case Doubt::none: break;
    case Doubt::no_texture: return "no-texture";
    case Doubt::flips: return "flips";
    case Doubt::close: return "close";
  }
  return "";
}

std::string doubt_text(const Detection& d) {
  switch (d.doubt) {
    case Doubt::none: break;
    case Doubt::no_texture:
      return fmt::format(
          "too flat or smooth to tell: neighbouring pixels differ by more than a grey level in {:.1f} % of its 2x2 "
          "cells",
          100 * d.texture);
    case Doubt::flips: return "a mild re-delivery of it has the other verdict";
    case Doubt::close: return "close to the threshold";
  }
  return {};
}

std::pair<float, float> score_spread(const Detection& d) {
  std::pair<float, float> spread = {d.score, d.score};
  for (const float score : d.delivered_scores) {
    if (std::isnan(score)) continue;
    spread.first = std::min(spread.first, score);
    spread.second = std::max(spread.second, score);
  }
  return spread;
}

std::string report_header(OutputFormat format, bool with_spread, std::size_t members) {
  switch (format) {
    case OutputFormat::table:
      return fmt::format("{:>6}  {:<7}  {}{:>8}  {:>11}  {}\n", "score", "verdict", with_spread ? "     spread  " : "",
                         "logit", "size", "file");
    case OutputFormat::csv:
      return fmt::format("path,logit,score,label,width,height,{}error,reason,part{}\n", with_spread ? "low,high," : "",
                         member_columns(members));
    case OutputFormat::json: return "[";
    case OutputFormat::jsonl: break;
  }
  return {};
}

std::string report_footer(OutputFormat format, bool any_records) {
  if (format != OutputFormat::json) return {};
  return any_records ? "\n]\n" : "]\n";
}

std::string report_record(OutputFormat format, const Detection& detection, bool first, Names deliveries,
                          Names members) {
  switch (format) {
    case OutputFormat::table: return table_record(detection, deliveries);
    case OutputFormat::csv: return csv_record(detection, deliveries, members);
    case OutputFormat::json: return (first ? "\n" : ",\n") + json_record(detection, deliveries, members);
    case OutputFormat::jsonl: break;
  }
  return json_record(detection, deliveries, members) + '\n';
}

}  // namespace lfm
