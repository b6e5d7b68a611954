#include "src/train/curves_page.h"

#include <fmt/core.h>

#include <cmath>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>

#include "src/io/atomic_file.h"
#include "src/report/chart.h"

namespace lfm {
namespace {

constexpr std::size_t kPoints = 500;  // of a line: about one a pixel

std::vector<ChartPoint> of_steps(const RunLog& log, const CurvesPage& page,
                                 const std::function<double(const StepRecord&)>& value) {
  std::vector<ChartPoint> points;
  for (const StepRecord& r : log.steps()) {
    points.push_back({static_cast<double>(r.step) / static_cast<double>(page.steps_per_epoch), value(r)});
  }
  return thin_out(points, kPoints);
}

std::vector<ChartPoint> of_epochs(const RunLog& log, const std::function<double(const Validation&)>& value) {
  std::vector<ChartPoint> points;
  for (const EpochRecord& r : log.epochs()) {
    if (r.validation) points.push_back({static_cast<double>(r.epoch), value(*r.validation)});
  }
  return points;
}

std::string charts(const CurvesPage& page, const TrainOptions& options, const RunLog& log) {
  const auto validated = [&](const std::function<double(const Validation&)>& value) { return of_epochs(log, value); };
  Chart loss{
      "Loss", "epoch", {{"training", of_steps(log, page, [](const StepRecord& r) { return r.loss; }), false, true}},
      true,   {},      {}};
  if (!options.val.empty())
    loss.series.push_back({"validation", validated([](const Validation& v) { return v.loss; }), true});
  Chart branches{"Loss of the two branches", "epoch", {}, true, {}, {}};
  branches.series.push_back({"top-k", of_steps(log, page, [](const StepRecord& r) { return r.loss_a; }), false, true});
  if (options.regularisation.rks) {
    branches.series.push_back(
        {"random", of_steps(log, page, [](const StepRecord& r) { return r.loss_b; }), false, true});
  }
  std::string html = chart_svg(loss);
  if (!options.val.empty()) {
    html += chart_svg({"Validation",
                       "epoch",
                       {{"AP", validated([](const Validation& v) { return v.metrics.ap; }), true},
                        {"accuracy", validated([](const Validation& v) { return v.metrics.accuracy; }), true},
                        {"reals", validated([](const Validation& v) { return v.metrics.real_accuracy; }), true},
                        {"fakes", validated([](const Validation& v) { return v.metrics.fake_accuracy; }), true}},
                       false,
                       {},
                       1.0});
  }
  html += chart_svg({"Accuracy in training",
                     "epoch",
                     {{"batch", of_steps(log, page, [](const StepRecord& r) { return r.accuracy; }), false, true}},
                     false,
                     {},
                     1.0});
  if (!options.teacher.empty()) {
    Chart distance{"Distance to the teacher", "epoch", {}, true, {}, {}};
    if (distills(options, "maps")) {
      distance.series.push_back(
          {"maps", of_steps(log, page, [](const StepRecord& r) { return r.distance_maps; }), false, true});
    }
    if (distills(options, "logits")) {
      distance.series.push_back(
          {"logits", of_steps(log, page, [](const StepRecord& r) { return r.distance_logits; }), false, true});
    }
    html += chart_svg(distance);
  }
  html += chart_svg(branches);
  html += chart_svg({"Gradient norm",
                     "epoch",
                     {{"norm", of_steps(log, page, [](const StepRecord& r) { return r.gradient_norm; }), false, true}},
                     true,
                     {},
                     {}});
  html += chart_svg({"Learning rate",
                     "epoch",
                     {{"lr", of_steps(log, page, [](const StepRecord& r) { return r.learning_rate; })}},
                     false,
                     0.0,
                     {}});
  html += chart_svg({"Speed",
                     "epoch",
                     {{"images/s", of_steps(log, page, [](const StepRecord& r) { return r.images_per_second; })}},
                     false,
                     0.0,
                     {}});
  return html;
}

std::string share(double value) { return std::isnan(value) ? "–" : fmt::format("{:.2f} %", 100 * value); }

std::string epoch_table(const RunLog& log) {
  std::string html =
      "<table><thead><tr><th>epoch<th>step<th>loss<th>accuracy<th>val. loss<th>val. AP<th>val. "
      "accuracy<th>reals<th>fakes<th>"
      "<tbody>\n";
  for (const EpochRecord& r : log.epochs()) {
    html += fmt::format("<tr><td>{}<td>{}<td>{:.4f}<td>{}", r.epoch, r.step, r.loss, share(r.accuracy));
    if (r.validation) {
      const Metrics& m = r.validation->metrics;
      html += fmt::format("<td>{:.4f}<td>{}<td>{}<td>{}<td>{}", r.validation->loss, share(m.ap), share(m.accuracy),
                          share(m.real_accuracy), share(m.fake_accuracy));
    } else {
      html += "<td>–<td>–<td>–<td>–<td>–";
    }
    html += r.best ? "<td>best\n" : "<td>\n";
  }
  return html + "</table>\n";
}

std::string option_table(const TrainOptions& options) {
  std::string html = "<table><tbody>\n";
  const nlohmann::json values = to_json(options);
  for (const auto& [name, value] : values.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    html += fmt::format("<tr><th>{}<td>{}\n", escape_html(name), escape_html(text));
  }
  return html + "</table>\n";
}

}  // namespace

std::string curves_html(const CurvesPage& page, const TrainOptions& options, const RunLog& log) {
  const std::string title = escape_html(page.title);
  std::string html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n";
  html += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
  if (page.running) html += "<meta http-equiv=\"refresh\" content=\"20\">\n";
  html += fmt::format("<title>{}</title>\n<style>\n{}", title, chart_style());
  html +=
      "body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:24px "
      "auto;max-width:1240px;padding:0 "
      "16px}\n"
      ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:28px 32px}\n"
      "h1{font-size:22px;margin:0}.status{color:var(--soft);margin:2px 0 24px}summary{cursor:pointer;margin:24px 0 "
      "8px;font-weight:600}\n"
      "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}td,th{padding:3px 12px 3px "
      "0;text-align:left;"
      "border-bottom:1px solid var(--faint);overflow-wrap:anywhere}\n"
      ".wide{overflow-x:auto}\n</style>\n";
  html += fmt::format("<h1>{}</h1>\n<p class=\"status\">{}</p>\n", title, escape_html(page.status));
  html += "<div class=\"charts\">\n" + charts(page, options, log) + "</div>\n";
  html += "<details open><summary>Epochs</summary><div class=\"wide\">\n" + epoch_table(log) + "</div></details>\n";
  html += "<details><summary>Options</summary><div class=\"wide\">\n" + option_table(options) + "</div></details>\n";
  return html + "</html>\n";
}

void write_curves(const std::filesystem::path& path, const CurvesPage& page, const TrainOptions& options,
                  const RunLog& log) {
  write_file_atomically(path, curves_html(page, options, log));
}

}  // namespace lfm
