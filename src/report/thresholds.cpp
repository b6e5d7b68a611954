#include "src/report/thresholds.h"

#include <fmt/ranges.h>

#include "src/eval/threshold_table.h"
#include "src/model/weight_file.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

/// "4 of 80 phone-photos (1.9-12.2 %)".
std::string kind_text(const WorstKind& kind) {
  if (kind.of == 0) return "-";
  const Interval interval = share_interval(kind.called, kind.of);
  return fmt::format("{} of {} {} ({:.1f}-{:.1f} %)", kind.called, kind.of, printable(kind.name), 100 * interval.low,
                     100 * interval.high);
}

}  // namespace

std::string thresholds_text(const ThresholdTable& table) {
  if (table.rows.empty())
    return fmt::format("{:<13} {}\n", "false alarms", "no table; evaluate --fit-calibration makes one");
  std::string text =
      fmt::format("{:<13} of {} reals of {} kinds, and {} fakes of {} generators, view {}, delivered as {}:\n",
                  "false alarms", table.reals, table.kinds, table.fakes, table.generators, view_name(table.view),
                  printable(fmt::format("{}", fmt::join(table.conditions, " "))));
  constexpr const char* row_format = "  {:>7}  {:>9}  {:>10}  {:>6}  {:>9}  {}\n";
  text += fmt::format(row_format, "at most", "threshold", "mean kind", "recall", "95 %",
                      "worst kind; the worst where it was not fitted on");
  for (const ThresholdRow& row : table.rows) {
    text += fmt::format(row_format, rate_text(row.rate), fmt::format("{:.6g}", row.threshold),
                        fmt::format("{:.1f} %", 100 * row.false_alarms), fmt::format("{:.0f} %", 100 * row.recall),
                        fmt::format("{:.0f}-{:.0f} %", 100 * row.recall_low, 100 * row.recall_high),
                        kind_text(row.worst) + "; " + kind_text(row.worst_unseen));
  }
  return text;
}

}  // namespace lfm
