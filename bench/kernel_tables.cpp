// What was measured of the kernels, as Markdown.
#include <fmt/format.h>

#include <string>

#include "bench/kernel_variants.h"

namespace lfm::bench {

std::string kernel_tables(const BenchReport& report) {
  std::string text =
      fmt::format("{}, clock: {}; the bound is that of a {}\n", report.device, report.clock, report.data_sheet);
  std::string part;
  for (const Measurement& row : report.rows) {
    if (row.part != part) {
      part = row.part;
      const std::string images = row.size > 0 ? fmt::format(", {0} images of {1}x{1}", row.batch, row.size) : "";
      text += fmt::format("\n{}s{}, medians\n\n", part, images) +
              "| operation | variant | us | 10 % | 90 % | TFLOP/s | GB/s | of the bound |\n"
              "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    }
    text += fmt::format("| {} | {} | ", row.operation, row.variant);
    if (!row.milliseconds) {
      text += row.error + " | | | | | |\n";
      continue;
    }
    const Spread& ms = *row.milliseconds;
    text += fmt::format("{:.1f} | {:.1f} | {:.1f} | {:.2f} | {:.1f} | {:.0f} % |\n", ms.median * 1e3, ms.p10 * 1e3,
                        ms.p90 * 1e3, row.tflops, row.gigabytes_per_second, 100 * row.share_of_bound);
  }
  for (const std::string& note : report.notes) text += "\n" + note + "\n";
  return text;
}

}  // namespace lfm::bench
