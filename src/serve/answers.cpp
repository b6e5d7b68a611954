#include "src/serve/answers.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "src/report/detections.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

std::string explanation_json(std::span<const Evidence> windows, bool of_members) {
  std::string text = R"(,"explanation":[)";
  const auto out = std::back_inserter(text);
  for (const Evidence& window : windows) {
    fmt::format_to(out, R"({}{{{}"x":{},"y":{},"width":{},"height":{},"rows":{},"columns":{},"contributions":[{}]}})",
                   &window == windows.data() ? "" : ",",
                   of_members ? fmt::format(R"("member":{},)", window.member + 1) : "", window.x, window.y,
                   window.width, window.height, window.rows, window.columns, fmt::join(window.contributions, ","));
  }
  return text + ']';
}

}  // namespace

std::string record_json(const Detection& detection, std::span<const std::string> deliveries,
                        std::span<const std::string> members) {
  std::string record = report_record(OutputFormat::jsonl, detection, true, deliveries, members);
  while (!record.empty() && record.back() != '}') record.pop_back();
  if (detection.evidence.empty()) return record;
  record.pop_back();
  return record + explanation_json(detection.evidence, members.size() > 1) + '}';
}

std::string records_json(std::span<const Detection> detections, std::span<const std::string> deliveries,
                         std::span<const std::string> members) {
  std::string text = "[";
  for (const Detection& detection : detections) {
    const bool several = detection.delivered_scores.size() > 1;
    text += (text.size() == 1 ? "\n" : ",\n") +
            record_json(detection, several ? deliveries : std::span<const std::string>(), members);
  }
  return text + "\n]\n";
}

std::string error_json(const std::string& message) { return json_text(nlohmann::json{{"error", message}}) + '\n'; }

}  // namespace lfm
