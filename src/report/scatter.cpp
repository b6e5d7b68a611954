#include "src/report/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "src/report/chart.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

constexpr double kSide = 720, kMargin = 16, kLine = 22;

/// Hues as far apart as their number allows.
std::string colour(std::size_t group, std::size_t groups) {
  return fmt::format("hsl({:.0f} 70% 45%)", 360.0 * static_cast<double>(group) / static_cast<double>(groups));
}

}  // namespace

std::string scatter_svg(const std::string& title, std::span<const ScatterPoint> points,
                        const std::vector<std::string>& groups) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::array<double, 2> low = {infinity, infinity}, high = {-infinity, -infinity};
  for (const ScatterPoint& point : points) {
    for (std::size_t d = 0; d < 2; ++d) {
      low[d] = std::min(low[d], point.at[d]);
      high[d] = std::max(high[d], point.at[d]);
    }
  }
  const double extent = std::max({high[0] - low[0], high[1] - low[1], 1e-12});
  const auto pixel = [&](const ScatterPoint& point, std::size_t d) {
    const double middle = (low[d] + high[d]) / 2;
    return kSide / 2 + (kSide - 2 * kMargin) * (point.at[d] - middle) / extent;
  };
  const double legend = kLine * (static_cast<double>(groups.size()) + 2.5);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"14\">\n"
      "<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      kSide, kSide + legend, escape_html(title));
  for (const ScatterPoint& point : points) {
    const std::string hue = colour(point.group, groups.size());
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\" stroke=\"{}\"/>\n", pixel(point, 0),
                       pixel(point, 1), point.label == 1 ? hue : "none", hue);
  }
  double y = kSide + kLine;
  svg +=
      fmt::format("<text x=\"{}\" y=\"{}\">{}; rings are reals, dots fakes</text>\n", kMargin, y, escape_html(title));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    y += kLine;
    svg +=
        fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"5\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>\n", kMargin + 5,
                    y - 5, colour(g, groups.size()), kMargin + 18, y, escape_html(printable(groups[g])));
  }
  return svg + "</svg>\n";
}

}  // namespace lfm
