#include "src/report/evaluation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "src/eval/paper.h"
#include "src/report/chart.h"
#include "src/report/csv.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

using Row = std::vector<std::string>;

/// Rows of cells; the first row is the heading, the first column text, the others numbers. An empty row is a rule.
using Table = std::vector<Row>;

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.1f}", 100 * share); }

std::string percent(const Interval& interval) {
  return std::isnan(interval.low) ? "-" : fmt::format("{:.1f}-{:.1f}", 100 * interval.low, 100 * interval.high);
}

std::string shown(double value, int digits) { return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, digits); }

Row heading(const EvaluationReport& report, const std::string& first) {
  Row row = {first,  "reals",    "fakes",     "ACC", "AP",      "AP 95 %", "real",
             "fake", "balanced", "bal. 95 %", "AUC", "best at", "ECE"};
  if (report.compare) row.insert(row.end(), {"paper ACC", "paper AP"});
  return row;
}

Row figures_row(const EvaluationReport& report, const std::string& name, const Figures& f, const PaperFigure* paper) {
  Row row = {name,
             fmt::format("{}", f.reals),
             fmt::format("{}", f.fakes),
             percent(f.accuracy),
             percent(f.ap),
             percent(f.ap_interval),
             percent(f.real_accuracy),
             percent(f.fake_accuracy),
             percent(f.balanced_accuracy),
             percent(f.balanced_interval),
             percent(f.auc),
             shown(f.best_threshold, 3),
             shown(f.ece, 3)};
  if (report.compare) {
    row.push_back(paper ? fmt::format("{:.1f}", paper->accuracy) : "-");
    row.push_back(paper ? fmt::format("{:.1f}", paper->ap) : "-");
  }
  return row;
}

Table condition_table(const EvaluationReport& report, const Condition& condition) {
  const std::string lfm = "LFM";
  Table table = {heading(report, "sub-dataset")};
  for (const TestSetFigures& set : condition.test_sets) {
    table.push_back({});
    std::size_t members = 0;
    for (std::size_t s = 0; s < report.data.subsets.size(); ++s) {
      const Subset& subset = report.data.subsets[s];
      if (subset.test_set != set.name) continue;
      ++members;
      const std::string name = subset.name == subset.test_set ? subset.name : subset.test_set + "/" + subset.name;
      table.push_back(figures_row(report, printable(name), condition.subsets[s],
                                  find_paper_figure(lfm, subset.test_set, subset.name)));
    }
    if (members < 2 && condition.test_sets.size() > 1) continue;  // its mean is the row above
    table.push_back(
        figures_row(report, printable("mean of " + set.name), set.mean, find_paper_figure(lfm, set.name, "")));
  }
  if (condition.test_sets.size() > 1) {
    table.push_back({});
    table.push_back(figures_row(report, "mean over all", condition.mean, find_paper_figure(lfm, "", "")));
  }
  return table;
}

Table robustness_table(const EvaluationReport& report) {
  Table table = {{"condition", "ACC", "AP", "AP 95 %", "real", "fake", "balanced", "bal. 95 %", "ECE", "left out"}, {}};
  for (const Condition& condition : report.conditions) {
    const Figures& f = condition.mean;
    table.push_back({condition.name, percent(f.accuracy), percent(f.ap), percent(f.ap_interval),
                     percent(f.real_accuracy), percent(f.fake_accuracy), percent(f.balanced_accuracy),
                     percent(f.balanced_interval), shown(f.ece, 3), fmt::format("{}", condition.undelivered)});
  }
  return table;
}

Table peers_table() {
  Table table = {{"paper's mean over all", "ACC", "AP"}, {}};
  for (const PaperFigure& figure : paper_figures()) {
    if (figure.test_set.empty()) {
      table.push_back(
          {std::string(figure.method), fmt::format("{:.1f}", figure.accuracy), fmt::format("{:.1f}", figure.ap)});
    }
  }
  return table;
}

/// Columns as wide as their widest cell; UTF-8 code points count as one.
std::string aligned(const Table& table) {
  const auto length = [](const std::string& cell) {
    return static_cast<std::size_t>(
        std::ranges::count_if(cell, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  };
  std::vector<std::size_t> widths(table[0].size());
  for (const Row& row : table) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], length(row[c]));
  }
  std::string text;
  for (const Row& row : table) {
    if (row.empty()) {
      std::size_t width = 2 * (widths.size() - 1);
      for (const std::size_t w : widths) width += w;
      text += std::string(width, '-');
    }
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - length(row[c]), ' ');
      text += c == 0 ? row[c] + padding : "  " + padding + row[c];
    }
    text += '\n';
  }
  return text;
}

std::string markdown(const Table& table) {
  const auto line = [](const Row& row) {
    std::string text = "|";
    for (std::string cell : row) {
      for (std::size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2) cell.insert(at, 1, '\\');
      text += ' ' + cell + " |";
    }
    return text + '\n';
  };
  std::string text = line(table[0]) + "| --- |";
  for (std::size_t c = 1; c < table[0].size(); ++c) text += " ---: |";
  text += '\n';
  for (std::size_t r = 1; r < table.size(); ++r) {
    if (!table[r].empty()) text += line(table[r]);
  }
  return text;
}

std::string html(const Table& table) {
  std::string text = "<div class=\"wide\"><table>\n";
  for (std::size_t r = 0; r < table.size(); ++r) {
    if (table[r].empty()) continue;
    text += table[r][0].starts_with("mean") ? "<tr class=\"mean\">" : "<tr>";
    for (const std::string& cell : table[r]) text += fmt::format("<{}>{}", r == 0 ? "th" : "td", escape_html(cell));
    text += '\n';
  }
  return text + "</table></div>\n";
}

std::string setting_line(const EvaluationReport& report) {
  const EvaluationSetting& s = report.setting;
  std::string text = fmt::format("{}{}: view {}, threshold {:g}", printable(s.model),
                                 s.name.empty() ? "" : fmt::format(" ({})", printable(s.name)), s.view, s.threshold);
  if (s.temperature != 1 || s.bias != 0)
    text += fmt::format(", score = sigmoid(logit / {:g} + {:g})", s.temperature, s.bias);
  if (report.failed > 0)
    text += fmt::format("; {} {} not be scored", report.failed, report.failed == 1 ? "file could" : "files could");
  if (report.without_texture > 0) {
    text += fmt::format(
        "; {} too flat or smooth for a verdict (detect answers \"unsure\"), counted as {} here",
        report.without_texture == 1 ? "1 picture is" : fmt::format("{} pictures are", report.without_texture),
        report.without_texture == 1 ? "it scores" : "they score");
  }
  return text;
}

std::string all_tables(const EvaluationReport& report, const std::function<std::string(const Table&)>& draw,
                       const std::string& title) {
  std::string text = setting_line(report) + "\n";
  for (const Condition& condition : report.conditions) {
    text += fmt::format("\n{}{}\n\n", title, condition.name == "none" ? "Pictures as they are" : condition.name);
    text += draw(condition_table(report, condition));
  }
  if (report.conditions.size() > 1)
    text += fmt::format("\n{}Means over all\n\n{}", title, draw(robustness_table(report)));
  if (report.compare) text += fmt::format("\n{}", draw(peers_table()));
  return text;
}

/// One figure's name in CSV and JSON, and its value.
struct NamedFigure {
  const char* name;
  double value;
};

std::array<NamedFigure, 15> named(const Figures& f) {
  return {{{"accuracy", f.accuracy},
           {"accuracy_low", f.accuracy_interval.low},
           {"accuracy_high", f.accuracy_interval.high},
           {"ap", f.ap},
           {"ap_low", f.ap_interval.low},
           {"ap_high", f.ap_interval.high},
           {"real_accuracy", f.real_accuracy},
           {"fake_accuracy", f.fake_accuracy},
           {"balanced_accuracy", f.balanced_accuracy},
           {"balanced_low", f.balanced_interval.low},
           {"balanced_high", f.balanced_interval.high},
           {"auc", f.auc},
           {"ece", f.ece},
           {"best_threshold", f.best_threshold},
           {"best_balanced_accuracy", f.best_balanced_accuracy}}};
}

nlohmann::json json_figures(const Figures& f) {
  nlohmann::json object = {{"reals", f.reals}, {"fakes", f.fakes}};
  for (const NamedFigure& figure : named(f)) {
    object[figure.name] = std::isnan(figure.value) ? nlohmann::json() : nlohmann::json(figure.value);
  }
  return object;
}

}  // namespace

std::string evaluation_text(const EvaluationReport& report) { return all_tables(report, aligned, ""); }

std::string evaluation_html(const EvaluationReport& report) {
  std::string text = fmt::format("<p class=\"status\">{}</p>\n", escape_html(setting_line(report)));
  if (report.conditions.size() > 1) text += "<h2>Means over all</h2>\n" + html(robustness_table(report));
  for (const Condition& condition : report.conditions) {
    const std::string table = html(condition_table(report, condition));
    const std::string& name = condition.name;
    if (name == "none") {
      text += "<h2>Pictures as they are</h2>\n" + table;
    } else {
      text += fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape_html(name), table);
    }
  }
  if (report.compare) text += html(peers_table());
  return text;
}

std::string evaluation_means_text(const EvaluationReport& report) { return aligned(robustness_table(report)); }

std::string evaluation_markdown(const EvaluationReport& report) { return all_tables(report, markdown, "### "); }

std::string evaluation_csv(const EvaluationReport& report) {
  std::string text = "condition,test_set,subset,reals,fakes";
  for (const NamedFigure& figure : named({})) text += fmt::format(",{}", figure.name);
  text += '\n';
  const auto line = [&](const Condition& condition, const std::string& set, const std::string& subset,
                        const Figures& f) {
    text += fmt::format("{},{},{},{},{}", condition.name, csv_text(set), csv_text(subset), f.reals, f.fakes);
    for (const NamedFigure& figure : named(f))
      text += std::isnan(figure.value) ? "," : fmt::format(",{}", figure.value);
    text += '\n';
  };
  for (const Condition& condition : report.conditions) {
    for (std::size_t s = 0; s < report.data.subsets.size(); ++s) {
      line(condition, report.data.subsets[s].test_set, report.data.subsets[s].name, condition.subsets[s]);
    }
    for (const TestSetFigures& set : condition.test_sets) line(condition, set.name, "mean", set.mean);
    line(condition, "", "mean", condition.mean);
  }
  return text;
}

std::string scores_csv(const EvaluationReport& report, std::span<const ScoredFile> files) {
  std::string text = "condition,test_set,subset,label,path,logit,score,doubt";
  const std::size_t members = report.setting.members.size();
  for (std::size_t m = 0; m < members; ++m) text += fmt::format(",member_{}", m + 1);
  text += '\n';
  for (std::size_t i = 0; i < files.size(); ++i) {
    const LabelledFile& file = report.data.files[i];
    const Subset& subset = report.data.subsets[file.subset];
    for (std::size_t c = 0; c < files[i].logits.size(); ++c) {
      if (std::isnan(files[i].logits[c])) continue;
      text += fmt::format("{},{},{},{},{},{},{},{}", report.conditions[c].name, csv_text(subset.test_set),
                          csv_text(subset.name), file.label, csv_text(file.path.string()), files[i].logits[c],
                          files[i].scores[c], files[i].without_verdict ? "no texture" : "");
      for (std::size_t m = 0; m < members; ++m) {
        const std::size_t at = c * members + m;  // medians over conditions have none
        text += at < files[i].member_logits.size() ? fmt::format(",{}", files[i].member_logits[at]) : ",";
      }
      text += '\n';
    }
  }
  return text;
}

nlohmann::json evaluation_json(const EvaluationReport& report) {
  const EvaluationSetting& s = report.setting;
  nlohmann::json out = {{"model", s.model},
                        {"name", s.name},
                        {"view", s.view},
                        {"device", s.device},
                        {"threshold", s.threshold},
                        {"calibration", {{"temperature", s.temperature}, {"bias", s.bias}}},
                        {"resamples", s.resamples},
                        {"seed", s.seed},
                        {"failed", report.failed},
                        {"without_texture", report.without_texture},
                        {"ignored", report.data.ignored},
                        {"warnings", report.data.warnings},
                        {"conditions", nlohmann::json::array()}};
  if (!s.members.empty()) out["members"] = s.members;
  for (const Condition& condition : report.conditions) {
    nlohmann::json c = {{"name", condition.name},
                        {"undelivered", condition.undelivered},
                        {"mean", json_figures(condition.mean)},
                        {"subsets", nlohmann::json::array()},
                        {"test_sets", nlohmann::json::array()}};
    for (std::size_t i = 0; i < report.data.subsets.size(); ++i) {
      nlohmann::json subset = json_figures(condition.subsets[i]);
      subset["test_set"] = report.data.subsets[i].test_set;
      subset["name"] = report.data.subsets[i].name;
      c["subsets"].push_back(std::move(subset));
    }
    for (const TestSetFigures& set : condition.test_sets) {
      nlohmann::json object = json_figures(set.mean);
      object["name"] = set.name;
      c["test_sets"].push_back(std::move(object));
    }
    out["conditions"].push_back(std::move(c));
  }
  return out;
}

}  // namespace lfm
