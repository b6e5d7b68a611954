// A line chart as inline SVG.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lfm {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  ///< by ascending x; a y that is no number leaves a gap
  bool markers = false;            ///< dots with their values as tooltips; for short series
  bool noisy = false;              ///< a pale line, and its moving mean over it
};

struct Chart {
  std::string title;
  std::string x_name;
  std::vector<ChartSeries> series;  ///< at most four: each has a colour of its own
  bool log_y = false;
  std::optional<double> y_min, y_max;  ///< of the axis; otherwise from the points
  bool x_from_zero = true;             ///< the horizontal axis begins at 0
};

/// A <figure> with title, legend, axes and lines. Styled by the classes of chart_style().
std::string chart_svg(const Chart& chart);
/// The CSS that charts need, for a page's <style>.
std::string chart_style();

/// At most `count` points: means over runs of neighbours.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, std::size_t count);

/// The mean of the window of points around each; at the ends of what there is of it. Points without a number don't
/// count.
std::vector<ChartPoint> moving_mean(const std::vector<ChartPoint>& points, std::size_t window);

std::string escape_html(const std::string& text);

}  // namespace lfm
