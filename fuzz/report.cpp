// Reports about files whose names, groups, errors and models are any bytes: the input, parted by line ends of two.
// Nothing of them may steer a terminal, forge a line, break a table, or become a tag, a script or a formula.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "src/report/detections.h"
#include "src/report/evaluation.h"
#include "src/report/page.h"
#include "src/report/scatter.h"

namespace {

using namespace lfm::fuzz;

struct Texts {
  std::string path, error, group, name;
};

Texts texts_of(std::string_view input) {
  Texts texts;
  for (std::string* text : {&texts.path, &texts.error, &texts.group, &texts.name}) {
    const std::size_t end = std::min(input.find("\n\n"), input.size());
    *text = input.substr(0, end);
    input.remove_prefix(std::min(end + 2, input.size()));
  }
  if (texts.name.empty()) texts.name = "model";  // a model without a name has a line less on its page
  return texts;
}

lfm::Detection scored(const Texts& texts) {
  lfm::Detection d;
  d.status = lfm::Detection::Status::scored;
  d.path = texts.path;
  d.width = d.height = 256;
  d.logit = 1.5f;
  d.score = 0.8f;
  d.fake = true;
  d.delivered_scores = d.delivered_logits = {0.8f};
  return d;
}

lfm::Detection failed(const Texts& texts) {
  lfm::Detection d;
  d.path = texts.path;
  d.error = texts.error;
  return d;
}

bool is_one_plain_line(std::string_view text) {
  const auto steers = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return text.ends_with('\n') && std::ranges::none_of(text.substr(0, text.size() - 1), steers);
}

/// The cells of the one RFC 4180 record that the text must be.
std::vector<std::string> csv_cells(std::string_view text) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        cells.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cells.back() += text[i++];
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      demand(cells.back().empty(), "a quote opens a cell");
      quoted = true;
    } else if (c == ',') {
      cells.emplace_back();
    } else if (c == '\n') {
      demand(i + 1 == text.size(), "one record is one line");
    } else {
      cells.back() += c;
    }
  }
  demand(!quoted, "every quote is closed");
  return cells;
}

void check_csv(const std::string& record, const std::string& path) {
  const auto cells = csv_cells(record);
  demand(cells.size() == csv_cells(lfm::report_header(lfm::OutputFormat::csv)).size(),
         "as many cells as the header has");
  demand(cells[0] == path || cells[0] == "'" + path, "the path reads back");
  demand(cells[0].empty() || std::string_view("=+-@\t\r").find(cells[0][0]) == std::string_view::npos,
         "no cell is a formula");
}

void check_records(const Texts& texts) {
  const std::string harmless =
      nlohmann::json::parse(nlohmann::json(texts.path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  for (const lfm::Detection& d : {scored(texts), failed(texts)}) {
    demand(is_one_plain_line(lfm::report_record(lfm::OutputFormat::table, d, true)),
           "a table's row is one line without control characters");
    const std::string line = lfm::report_record(lfm::OutputFormat::jsonl, d, true);
    demand(is_one_plain_line(line), "a JSON record is one line");
    demand(nlohmann::json::parse(line).at("path") == harmless, "the path reads back from JSON");
    check_csv(lfm::report_record(lfm::OutputFormat::csv, d, true), texts.path);
  }
}

/// How often a tag could begin or end: text must not change it.
std::size_t marks(std::string_view html) {
  return static_cast<std::size_t>(std::ranges::count_if(html, [](char c) { return c == '<' || c == '>'; }));
}

std::string_view without_data(std::string_view page) {
  return page.substr(0, page.find("<script type=\"application/json\""));
}

lfm::EvaluationReport evaluation_of(const Texts& texts) {
  lfm::EvaluationReport report;
  report.setting.model = texts.path;
  report.setting.name = texts.name;
  report.data.subsets = {{texts.group, "one"}, {texts.group, texts.name}};
  lfm::Condition condition{"none", {{}, {}}, {{texts.group, {}}}, {}};
  report.conditions = {condition};
  return report;
}

std::string page_of(const Texts& texts) {
  lfm::ReportPage page(true);
  page.add(scored(texts), 1, texts.group);
  page.add(failed(texts), 0, texts.group);
  lfm::Model model;
  model.name = texts.name;
  model.provenance =
      nlohmann::json({{texts.name, texts.error}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const lfm::EvaluationReport evaluation = evaluation_of(texts);
  return page.html(texts.name, {texts.path}, model, lfm::View::resize, 0.5f, &evaluation);
}

void check_page(const Texts& texts) {
  static const std::size_t of_harmless = marks(without_data(page_of({"a", "b", "c", "d"})));
  const std::string page = page_of(texts);
  demand(marks(without_data(page)) == of_harmless, "no text becomes a tag");
  std::string_view data = page;
  data.remove_prefix(data.find("id=\"data\">") + std::string_view("id=\"data\">").size());
  data = data.substr(0, data.find("</script>"));
  demand(data.find('<') == std::string_view::npos, "no text ends the script");
  demand(nlohmann::json::parse(data).at("images").size() == 2, "the page's data are JSON");
}

void check_evaluation(const Texts& texts) {
  static const lfm::EvaluationReport harmless = evaluation_of({"a", "b", "c", "d"});
  const lfm::EvaluationReport report = evaluation_of(texts);
  const auto lines = [](const std::string& text) { return std::ranges::count(text, '\n'); };
  demand(lines(lfm::evaluation_text(report)) == lines(lfm::evaluation_text(harmless)), "no text forges a row");
  demand(lines(lfm::evaluation_markdown(report)) == lines(lfm::evaluation_markdown(harmless)),
         "no text forges a Markdown row");
  demand(marks(lfm::evaluation_html(report)) == marks(lfm::evaluation_html(harmless)),
         "no text becomes a tag of a table");
  lfm::evaluation_csv(report);
  const lfm::ScatterPoint point{{0, 0}, 0, 1};
  demand(marks(lfm::scatter_svg(texts.name, std::span(&point, 1), {texts.group})) ==
             marks(lfm::scatter_svg("a", std::span(&point, 1), {"b"})),
         "no text becomes an SVG element");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Texts texts = texts_of(text_of(bytes_of(data, size)));
  check_records(texts);
  check_page(texts);
  check_evaluation(texts);
  return 0;
}
