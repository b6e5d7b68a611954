#include "src/report/chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace lfm {
namespace {

constexpr double kWidth = 560, kHeight = 260;
constexpr std::size_t kTrendParts = 20;  // a noisy line's mean is over this part of its points
constexpr double kLeft = 56, kRight = 12, kTop = 10, kBottom = 36;

// Maps values to pixels along one axis.
struct Axis {
  double low = 0, high = 1;
  double from = 0, to = 1;  // pixels of low and high
  bool logarithmic = false;

  double scaled(double value) const { return logarithmic ? std::log10(value) : value; }
  double pixel(double value) const {
    return from + (to - from) * (scaled(value) - scaled(low)) / (scaled(high) - scaled(low));
  }
  bool shows(double value) const { return std::isfinite(value) && (!logarithmic || value > 0); }
};

// The round number (1, 2 or 5 times a power of ten) that cuts the range into about five parts.
double tick_distance(double range) {
  const double raw = range / 5, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

std::vector<double> ticks(const Axis& axis) {
  std::vector<double> at;
  if (axis.logarithmic && axis.high / axis.low >= 5) {
    const bool few_decades = axis.high / axis.low < 100;
    const auto first = static_cast<int>(std::floor(std::log10(axis.low))),
               last = static_cast<int>(std::floor(std::log10(axis.high)));
    for (int decade = first; decade <= last; ++decade) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double value = factor * std::pow(10.0, decade);
        if (value >= axis.low && value <= axis.high && (few_decades || factor == 1)) at.push_back(value);
      }
    }
    return at;
  }
  const double distance = tick_distance(axis.high - axis.low);
  const auto first = static_cast<std::int64_t>(std::ceil(axis.low / distance - 1e-9));
  const auto last = static_cast<std::int64_t>(std::floor(axis.high / distance + 1e-9));
  for (std::int64_t i = first; i <= last; ++i) at.push_back(static_cast<double>(i) * distance);
  return at;
}

Axis axis_over(const Chart& chart, bool vertical) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  Axis axis;
  axis.logarithmic = vertical && chart.log_y;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& p : series.points) {
      const double value = vertical ? p.y : p.x;
      if (!axis.shows(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (!(low <= high)) low = axis.logarithmic ? 0.1 : 0, high = 1;
  if (!vertical && chart.x_from_zero) low = std::min(low, 0.0);
  if (vertical && chart.y_min) low = std::min(low, *chart.y_min);
  if (vertical && chart.y_max) high = std::max(high, *chart.y_max);
  if (low == high) {
    const double margin = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= margin;
    high += margin;
  }
  axis.low = low;
  axis.high = high;
  axis.from = vertical ? kHeight - kBottom : kLeft;
  axis.to = vertical ? kTop : kWidth - kRight;
  return axis;
}

std::string line_path(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y) {
  std::string path;
  bool pen_down = false;
  for (const ChartPoint& p : points) {
    if (!y.shows(p.y)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x.pixel(p.x), y.pixel(p.y));
    pen_down = true;
  }
  return path;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '&': safe += "&amp;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += c;
    }
  }
  return safe;
}

std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t count) {
  if (points.size() <= count) return points;
  std::vector<ChartPoint> thin;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i * points.size() / count, end = (i + 1) * points.size() / count;
    ChartPoint mean;
    for (std::size_t p = first; p < end; ++p) {
      mean.x += points[p].x;
      mean.y += points[p].y;
    }
    const auto size = static_cast<double>(end - first);
    thin.push_back({mean.x / size, mean.y / size});
  }
  return thin;
}

std::vector<ChartPoint> moving_mean(const std::vector<ChartPoint>& points, std::size_t window) {
  std::vector<ChartPoint> means;
  for (std::size_t i = 0; i < points.size(); ++i) {
    double sum = 0, count = 0;
    for (std::size_t j = i - std::min(i, window / 2); j < std::min(points.size(), i + window / 2 + 1); ++j) {
      if (!std::isfinite(points[j].y)) continue;
      sum += points[j].y;
      ++count;
    }
    means.push_back({points[i].x, std::isfinite(points[i].y) ? sum / count : points[i].y});
  }
  return means;
}

std::string chart_svg(const Chart& chart) {
  const Axis x = axis_over(chart, false), y = axis_over(chart, true);
  std::string svg = fmt::format("<figure>\n<figcaption>{}<span class=\"legend\">", escape_html(chart.title));
  for (std::size_t i = 0; chart.series.size() > 1 && i < chart.series.size(); ++i) {
    svg += fmt::format("<span class=\"key s{}\">{}</span>", i, escape_html(chart.series[i].name));
  }
  svg += fmt::format("</span></figcaption>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", kWidth,
                     kHeight, escape_html(chart.title));
  for (const double tick : ticks(y)) {
    svg +=
        fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text class=\"y\" x=\"{}\" y=\"{:.1f}\">{:.4g}</text>\n",
                    kLeft, y.pixel(tick), kWidth - kRight, kLeft - 6, y.pixel(tick) + 4, tick);
  }
  for (const double tick : ticks(x)) {
    svg += fmt::format("<text class=\"x\" x=\"{:.1f}\" y=\"{}\">{:.6g}</text>\n", x.pixel(tick), kHeight - kBottom + 16,
                       tick);
  }
  svg += fmt::format("<text class=\"x\" x=\"{}\" y=\"{}\">{}</text>\n", (kLeft + kWidth - kRight) / 2, kHeight - 4,
                     escape_html(chart.x_name));
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    const bool has_trend = series.noisy && series.points.size() > kTrendParts;
    svg += fmt::format("<path class=\"line{} s{}\" d=\"{}\"/>\n", has_trend ? " pale" : "", i,
                       line_path(series.points, x, y));
    if (has_trend) {
      const auto trend = moving_mean(series.points, series.points.size() / kTrendParts);
      svg += fmt::format("<path class=\"line s{}\" d=\"{}\"/>\n", i, line_path(trend, x, y));
    }
    if (!series.markers) continue;
    for (const ChartPoint& p : series.points) {
      if (!y.shows(p.y)) continue;
      svg += fmt::format(
          "<circle class=\"s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{} {:.6g}: {:.4g}</title></circle>\n", i,
          x.pixel(p.x), y.pixel(p.y), escape_html(series.name), p.x, p.y);
    }
  }
  return svg + "</svg>\n</figure>\n";
}

std::string chart_style() {
  return R"(:root{--ink:#1c2128;--paper:#fff;--faint:#d9dde3;--soft:#68727f;--c0:#1f6fd6;--c1:#d1491c;--c2:#1a8a4c;--c3:#8a46c4}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ec;--paper:#14171b;--faint:#2d333b;--soft:#929da9;--c0:#6cabff;--c1:#ff8f66;--c2:#5fd08f;--c3:#c79bff}}
figure{margin:0}figcaption{font-weight:600;margin:0 0 4px}
.legend{font-weight:400;font-size:13px;float:right}.key{margin-left:12px}.key::before{content:"";display:inline-block;width:12px;height:3px;margin-right:5px;vertical-align:middle;background:currentColor}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--soft)}svg .x{text-anchor:middle}svg .y{text-anchor:end}
.grid{stroke:var(--faint);stroke-width:1}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.pale{opacity:.35;stroke-width:1}
.s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.line{stroke:currentColor}circle{fill:currentColor}
)";
}

}  // namespace lfm
