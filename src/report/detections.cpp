#include "src/report/detections.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "src/report/csv.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

/// Bytes that are no UTF-8, which file names may hold and JSON may not, become U+FFFD.
std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const char* label(const Detection& d) { return d.fake ? "fake" : "real"; }

std::string json_record(const Detection& d) {
  const std::string path = json_string(d.path.string());
  if (!d.scored()) return fmt::format(R"({{"path":{},"error":{}}})", path, json_string(d.error));
  return fmt::format(R"({{"path":{},"logit":{},"score":{},"label":"{}","width":{},"height":{}}})", path, d.logit, d.score,
                     label(d), d.width, d.height);
}

std::string csv_record(const Detection& d) {
  const std::string path = csv_text(d.path.string());
  if (!d.scored()) return fmt::format("{},,,,,,{}\n", path, csv_text(d.error));
  return fmt::format("{},{},{},{},{},{},\n", path, d.logit, d.score, label(d), d.width, d.height);
}

std::string table_record(const Detection& d) {
  const std::string path = printable(d.path.string());
  if (!d.scored()) return fmt::format("{:>6}  {:<7}  {:>8}  {:>11}  {}: {}\n", "-", "failed", "-", "-", path, printable(d.error));
  return fmt::format("{:6.4f}  {:<7}  {:>8.3f}  {:>11}  {}\n", d.score, label(d), d.logit,
                     fmt::format("{}x{}", d.width, d.height), path);
}

}  // namespace

std::string report_header(Format format) {
  switch (format) {
    case Format::table:
      return fmt::format("{:>6}  {:<7}  {:>8}  {:>11}  {}\n", "score", "verdict", "logit", "size", "file");
    case Format::csv:
      return "path,logit,score,label,width,height,error\n";
    case Format::json:
      return "[";
    case Format::jsonl:
      break;
  }
  return {};
}

std::string report_footer(Format format, bool any_records) {
  if (format != Format::json) return {};
  return any_records ? "\n]\n" : "]\n";
}

std::string report_record(Format format, const Detection& detection, bool first) {
  switch (format) {
    case Format::table:
      return table_record(detection);
    case Format::csv:
      return csv_record(detection);
    case Format::json:
      return (first ? "\n" : ",\n") + json_record(detection);
    case Format::jsonl:
      break;
  }
  return json_record(detection) + '\n';
}

}  // namespace lfm
