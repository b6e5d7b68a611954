// lfm-cuda evaluate: the paper's table for folders of real and generated pictures, and how it holds when they are re-delivered.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/interruption.h"
#include "src/eval/evaluation.h"
#include "src/model/weight_file.h"
#include "src/pipeline/delivery.h"
#include "src/report/evaluation.h"
#include "src/report/output.h"
#include "src/report/progress.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

enum class Protocol { model, paper };

struct EvaluateArguments {
  std::vector<std::string> roots;
  ScoringArguments scoring;
  Protocol protocol = Protocol::model;
  std::vector<std::string> perturbations;
  MeasureOptions measure;
  bool compare = false;
  std::string format = "txt";  ///< as a file would end
  std::vector<std::string> outputs;
};

constexpr const char* kFooter =
    "Examples:\n"
    "  lfm-cuda evaluate val/\n"
    "  lfm-cuda evaluate val/ --perturb jpeg:90,75 webp:80 resize:0.75 --output val.json\n"
    "  lfm-cuda evaluate ForenSynths/ GANGen-Detection/ --protocol paper --compare\n"
    "\n"
    "A root is a test set, and the folders in it are its sub-datasets: ROOT/SUB/[class/...]/0_real/* and 1_fake/*; classes may\n"
    "also lie beneath 0_real and 1_fake. ACC and the accuracies are taken at the threshold, AP and AUC over all thresholds;\n"
    "'best at' is the threshold of the best balanced accuracy on these very pictures, an upper bound. Intervals are 95 %\n"
    "bootstrap intervals over pictures: they speak of other pictures of these sources, not of other generators.\n";

/// The files of the test data, in their order.
class FileSource : public InputSource {
 public:
  FileSource(const TestData& data, bool paper) : data_(data), paper_(paper) {}
  std::optional<Input> next() override {
    if (cancelled_ || next_ == data_.files.size()) return std::nullopt;
    const LabelledFile& file = data_.files[next_++];
    Input input{file.path, false, {}, {}};
    if (paper_) input.view = is_unresized_in_paper(data_.subsets[file.subset].test_set) ? View::native : View::resize;
    return input;
  }
  void cancel() override { cancelled_ = true; }

 private:
  const TestData& data_;
  bool paper_;
  std::size_t next_ = 0;
  std::atomic<bool> cancelled_ = false;
};

using Writer = std::function<std::string(const EvaluationReport&)>;

std::string json_text(const EvaluationReport& report) {
  return evaluation_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

const std::map<std::string, Writer>& writers() {
  static const std::map<std::string, Writer> all = {
      {".txt", evaluation_text}, {".md", evaluation_markdown}, {".csv", evaluation_csv}, {".json", json_text}};
  return all;
}

Writer writer_of(const std::string& ending, const std::string& file) {
  const auto found = writers().find(ending);
  if (found == writers().end()) {
    throw Error(ErrorCode::usage, fmt::format("{}: its ending chooses the format, and must be .txt, .md, .csv or .json", file));
  }
  return found->second;
}

std::vector<ScoredFile> score(Detector& detector, const EvaluateArguments& arguments, EvaluationReport& report) {
  const bool quiet = arguments.scoring.quiet;
  std::vector<ScoredFile> files;
  files.reserve(report.data.files.size());
  FileSource source(report.data, arguments.protocol == Protocol::paper);
  const Interruption interruption(source);
  Progress progress(report.data.files.size(), quiet);
  detector.detect_stream(source, [&](Detection&& detection) {
    if (!detection.scored()) {
      ++report.failed;
      progress.clear();
      fmt::print(stderr, "lfm-cuda: {}: {}\n", printable(detection.path.string()), printable(detection.error));
    }
    files.push_back({detection.scored(), std::move(detection.delivered_logits), std::move(detection.delivered_scores)});
    progress.step(true);
  });
  progress.clear();
  if (interruption.happened()) {
    fmt::print(stderr, "lfm-cuda: interrupted before all pictures were scored; nothing was measured\n");
    end_with(kInterrupted);
  }
  if (!quiet) {
    fmt::print(stderr, "{} pictures in {} ways, {:.1f} pictures/s, {}\n", files.size(), arguments.perturbations.size(),
               static_cast<double>(files.size()) / std::max(progress.seconds(), 1e-6), detector.description());
  }
  return files;
}

void evaluate(EvaluateArguments arguments) {
  const Writer standard_output = writer_of("." + arguments.format, "--format");
  std::vector<std::pair<std::string, Writer>> outputs;
  for (const std::string& file : arguments.outputs) outputs.emplace_back(file, writer_of(fs::path(file).extension().string(), file));

  auto& perturbations = arguments.perturbations;
  if (std::ranges::find(perturbations, "none") == perturbations.end()) perturbations.insert(perturbations.begin(), "none");
  std::vector<std::string> names;
  for (const Delivery& delivery : parse_deliveries(perturbations)) names.push_back(delivery.name());
  perturbations = names;

  DetectorOptions& options = arguments.scoring.detector;
  options.deliveries = names;
  const fs::path model_file = find_model(arguments.scoring.model);
  Model model = load_model(model_file);
  const bool paper = arguments.protocol == Protocol::paper;
  if (paper) {
    if (options.view) throw Error(ErrorCode::usage, "--protocol paper has a view for each test set; leave --view out");
    model.calibration = {};
    if (!options.threshold) options.threshold = 0.5f;
  }

  EvaluationReport report;
  report.data = find_subsets({arguments.roots.begin(), arguments.roots.end()});
  report.compare = arguments.compare;
  Detector detector(model, options);
  arguments.measure.threshold = detector.threshold();
  report.setting = {model_file.string(),
                    model.name,
                    paper ? "paper" : std::string(view_name(detector.view())),
                    detector.description(),
                    detector.threshold(),
                    model.calibration.temperature,
                    model.calibration.bias,
                    arguments.measure.resamples,
                    arguments.measure.seed};
  const std::vector<ScoredFile> files = score(detector, arguments, report);
  report.conditions = measure(report.data, files, names, arguments.measure);

  for (const auto& [file, writer] : outputs) {
    Output output(file);
    output.write(writer(report));
    output.commit();
  }
  Output output{fs::path()};
  output.write(standard_output(report));
  output.commit();
  if (report.failed > 0) end_with(kFailure);
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("evaluate", "Measure a model on folders of real and generated images");
  const auto a = std::make_shared<EvaluateArguments>();
  command->footer(kFooter);
  command->add_option("roots", a->roots, "Test sets: folders with .../0_real/* and .../1_fake/*")->required()->type_name("ROOT");
  add_scoring_options(*command, a->scoring);
  add_choice<Protocol>(*command, "--protocol",
                       "model: the model's view, threshold and calibration; paper: resized\n"
                       "to 256x256 but for GANGen-Detection, threshold 0.5, no calibration\n(default: model)",
                       {{"model", Protocol::model}, {"paper", Protocol::paper}}, [a](Protocol protocol) { a->protocol = protocol; });
  command->add_option("--perturb", a->perturbations,
                      "Measure again with every picture, real or fake, put through this:\n"
                      "jpeg:QUALITY webp:QUALITY blur:SIGMA resize:FACTOR noise:SIGMA\nshift:PIXELS, or several: jpeg:90,75 blur:1,2")
      ->type_name("KIND:VALUE,...");
  command->add_flag("--compare", a->compare, "Put the paper's figures beside, matched by folder name");
  command->add_option("--bootstrap", a->measure.resamples, "Resamples for the 95 % intervals; 0: none (default: 1000)")
      ->check(CLI::Range(0, 1000000).description(""))
      ->type_name("N");
  command->add_option("--seed", a->measure.seed, "Of the resamples (default: 1)")->type_name("N");
  add_choice<std::string>(*command, "-f,--format", "text, md (Markdown), csv, json (default: text)",
                          {{"text", "txt"}, {"md", "md"}, {"csv", "csv"}, {"json", "json"}},
                          [a](const std::string& format) { a->format = format; });
  command->add_option("-o,--output", a->outputs, "Also write it there, as the ending says: .txt, .md, .csv, .json;\nmay be given more than once")
      ->expected(1)
      ->take_all()
      ->type_name("FILE");
  command->callback([a] { evaluate(*a); });
}

}  // namespace lfm
