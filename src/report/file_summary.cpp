#include "src/report/file_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/report/csv.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

std::string words(const FileSummary& s) {
  std::string text = fmt::format("all {} parts: {} real, {} fake", s.parts(), s.real, s.fake);
  if (s.unsure > 0) text += fmt::format(", {} unsure", s.unsure);
  if (s.failed > 0) text += fmt::format(", {} failed", s.failed);
  return text;
}

std::string json_summary(const FileSummary& s) {
  std::string text =
      fmt::format(R"({{"path":{},"parts":{},"real":{},"fake":{},"unsure":{},"failed":{})",
                  json_text(nlohmann::json(s.path.string())), s.parts(), s.real, s.fake, s.unsure, s.failed);
  if (s.parts() > s.failed)
    text += fmt::format(R"(,"lowest":{},"median":{},"highest":{})", s.lowest, s.median, s.highest);
  return text + '}';
}

}  // namespace

std::string summary_record(OutputFormat format, const FileSummary& s, bool first, bool with_spread) {
  const bool scored = s.parts() > s.failed;
  switch (format) {
    case OutputFormat::table:
      return fmt::format("{:>6}  {:<7}  {}{:>8}  {:>11}  {}: {}{}\n", scored ? fmt::format("{:.4f}", s.median) : "-",
                         "median", with_spread ? fmt::format("{:>11}  ", "-") : "", "-", "-",
                         printable(s.path.string()), words(s),
                         scored ? fmt::format("; scores {:.3f} to {:.3f}", s.lowest, s.highest) : "");
    case OutputFormat::csv:
      return fmt::format("{},,{},,,,{},,{}\n", csv_text(s.path.string()), scored ? fmt::format("{}", s.median) : "",
                         with_spread ? (scored ? fmt::format("{},{},", s.lowest, s.highest) : ",,") : "",
                         csv_text(words(s)));
    case OutputFormat::json: return (first ? "\n" : ",\n") + json_summary(s);
    case OutputFormat::jsonl: break;
  }
  return json_summary(s) + '\n';
}

std::optional<FileSummary> SummaryMaker::add(const Detection& detection) {
  std::optional<FileSummary> before;
  if (detection.path != summary_.path) before = finish();
  if (detection.part.empty() || detection.part == "preview") return before;
  summary_.path = detection.path;
  if (!detection.scored()) {
    ++summary_.failed;
    return before;
  }
  ++(detection.unsure ? summary_.unsure : detection.fake ? summary_.fake : summary_.real);
  scores_.push_back(detection.score);
  return before;
}

std::optional<FileSummary> SummaryMaker::finish() {
  FileSummary done = std::exchange(summary_, {});
  std::vector<float> scores = std::exchange(scores_, {});
  if (done.parts() == 0) return std::nullopt;
  std::ranges::sort(scores);
  if (!scores.empty()) {
    const std::size_t middle = scores.size() / 2;
    done.lowest = scores.front();
    done.median = scores.size() % 2 == 1 ? scores[middle] : (scores[middle - 1] + scores[middle]) / 2;
    done.highest = scores.back();
  }
  return done;
}

}  // namespace lfm
