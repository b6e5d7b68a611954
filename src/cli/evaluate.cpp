// lfm-cuda evaluate: the paper's table for folders of real and generated pictures, and how it holds when they are
// re-delivered.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/interruption.h"
#include "src/cli/number_checks.h"
#include "src/cli/together.h"
#include "src/eval/evaluation.h"
#include "src/eval/fit.h"
#include "src/eval/threshold_table.h"
#include "src/model/weight_file.h"
#include "src/pipeline/delivery.h"
#include "src/report/embedding.h"
#include "src/report/evaluation.h"
#include "src/report/file_plan.h"
#include "src/report/output.h"
#include "src/report/page.h"
#include "src/report/progress.h"
#include "src/report/terminal.h"
#include "src/report/thresholds.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

enum class Protocol { model, paper };

constexpr std::array<Word<Protocol>, 2> words(Protocol) {
  return {{{"model", Protocol::model}, {"paper", Protocol::paper}}};
}

struct EvaluateArguments {
  std::vector<std::string> roots;
  ScoringArguments scoring;
  Protocol protocol = Protocol::model;
  std::vector<std::string> perturbations;
  MeasureOptions measure;
  bool compare = false;
  std::string (*format)(const EvaluationReport&) = evaluation_text;
  std::vector<std::string> outputs;
  std::vector<std::string> pages;  ///< HTML files
  fs::path calibrated;             ///< model to write
  std::optional<double> fitted_rate =
      kShippedRate;       ///< of false alarms, whose threshold it gets; none: that of the best balanced accuracy
  fs::path scores;        ///< CSV file of every picture's
  std::string embedding;  ///< what the embedding's files begin with
  bool force = false;
};

/// What is measured beyond single conditions with --stable.
constexpr const char* kMedian = "median";                 ///< of the deliveries
constexpr const char* kMedianSure = "median-where-sure";  ///< without the pictures that go unanswered

constexpr const char* kEvaluateFooter =
    "Examples:\n"
    "  lfm-cuda evaluate val/\n"
    "  lfm-cuda evaluate val/ --perturb jpeg:90,75 webp:80 resize:0.75 --output val.json\n"
    "  lfm-cuda evaluate ForenSynths/ GANGen-Detection/ --protocol paper --compare\n"
    "  mpirun -np 4 lfm-cuda evaluate val/                      four processes share the pictures, on one host or "
    "several\n"
    "\n"
    "A root is a test set, and the folders in it are its sub-datasets: ROOT/SUB/[class/...]/0_real/* and 1_fake/*; "
    "classes may\n"
    "also lie beneath 0_real and 1_fake. ACC and the accuracies are taken at the threshold, AP and AUC over all "
    "thresholds;\n"
    "'best at' is the threshold of the best balanced accuracy on these very pictures, an upper bound. Intervals are 95 "
    "%\n"
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

std::string as_json(const EvaluationReport& report) { return json_text(evaluation_json(report), 2) + "\n"; }

/// The table's formats; a file's ending names them too.
using Writer = std::string (*)(const EvaluationReport&);
constexpr std::array<Word<Writer>, 5> kWriters = {{{"text", evaluation_text},
                                                   {"txt", evaluation_text},
                                                   {"md", evaluation_markdown, "Markdown"},
                                                   {"csv", evaluation_csv},
                                                   {"json", as_json}}};

Writer writer_of(std::string_view ending, const std::string& file) {
  for (const Word<Writer>& row : kWriters) {
    if (!ending.empty() && row.word == ending.substr(1)) return row.value;
  }
  throw Error(ErrorCode::usage,
              fmt::format("{}: its ending chooses the format, and must be .txt, .md, .csv, .json or .html", file));
}

/// page and embedding get every picture, where there are any.
std::vector<ScoredFile> score(const Launch& launch, Detector& detector, const EvaluateArguments& arguments,
                              EvaluationReport& report, ReportPage* page, EmbeddingFiles* embedding) {
  const bool quiet = arguments.scoring.quiet;
  std::vector<ScoredFile> files;
  files.reserve(report.data.files.size());
  FileSource source(report.data, arguments.protocol == Protocol::paper);
  const Interruption interruption(source);
  Progress progress(report.data.files.size(), quiet);
  score_together(launch, detector, source, {}, [&](Detection&& detection) {
    if (!detection.scored()) {
      ++report.failed;
      progress.clear();
      tell(stderr, "lfm-cuda: {}: {}\n", printable(detection.path.string()), printable(detection.error));
    }
    const LabelledFile& file = report.data.files[files.size()];
    const Subset& subset = report.data.subsets[file.subset];
    if (page) page->add(detection, file.label, subset.name);
    if (embedding) embedding->add(detection, file, subset);
    if (arguments.scoring.detector.stable && detection.scored()) {
      constexpr float none = std::numeric_limits<float>::quiet_NaN();
      detection.delivered_logits.insert(detection.delivered_logits.end(),
                                        {detection.logit, detection.unsure ? none : detection.logit});
      detection.delivered_scores.insert(detection.delivered_scores.end(),
                                        {detection.score, detection.unsure ? none : detection.score});
    }
    if (detection.doubt == Doubt::no_texture) ++report.without_texture;
    files.push_back({detection.scored(), std::move(detection.delivered_logits), std::move(detection.delivered_scores),
                     std::move(detection.delivered_member_logits), detection.doubt == Doubt::no_texture});
    progress.step(true);
  });
  progress.clear();
  if (interruption.happened()) {
    tell(stderr, "lfm-cuda: interrupted before all pictures were scored; nothing was measured\n");
    end_with(kInterrupted);
  }
  if (!quiet) {
    tell(stderr, "{} pictures, {} conditions, {:.1f} pictures/s, {}\n", files.size(), arguments.perturbations.size(),
         static_cast<double>(files.size()) / std::max(progress.seconds(), 1e-6), detector.description());
  }
  return files;
}

/// Writes the model with a calibration and a threshold fitted to what was measured, and tells how they do on it.
void calibrate(const EvaluateArguments& arguments, const Model& old, View view, EvaluationReport report,
               std::vector<ScoredFile> files) {
  Fit fitted = fit(report.data, report.conditions, files, view);
  for (ThresholdRow& row : fitted.thresholds.rows) {  // folders' names, on their way into the model's file
    for (WorstKind* kind : {&row.worst, &row.worst_unseen}) kind->name = printable(kind->name);
  }
  std::vector<std::string> folders;
  for (const std::string& root : arguments.roots) folders.push_back(fs::weakly_canonical(root).filename().string());
  const Model model =
      fitted_model(old, fitted, arguments.fitted_rate, report.conditions, files.size() - report.failed, folders);
  save_model(model, arguments.calibrated);
  if (arguments.scoring.quiet) return;

  const double error_before = pooled_calibration_error(report.data, files);
  recalibrate(files, fitted.calibration);
  MeasureOptions options = arguments.measure;
  options.threshold = model.threshold;
  report.conditions = measure(report.data, files, arguments.perturbations, options);
  tell(stderr,
       "\n{}: score = sigmoid(logit / {:g} + {:g}), threshold {:g}. On the very pictures these were fitted on, where "
       "the ECE of all\n"
       "together goes from {:.3f} to {:.3f}:\n\n{}",
       printable(arguments.calibrated.string()), fitted.calibration.temperature, fitted.calibration.bias,
       model.threshold, error_before, pooled_calibration_error(report.data, files), evaluation_means_text(report));
  tell(stderr, "\n{}", thresholds_text(model.thresholds));
  const std::string meaning = verdict_meaning(model.thresholds, view, model.threshold);
  if (!meaning.empty()) tell(stderr, "{}.\n", printable(meaning));
}

/// The conditions' names; settles --stable and --perturb.
std::vector<std::string> settle_conditions(EvaluateArguments& arguments) {
  DetectorOptions& options = arguments.scoring.detector;
  std::vector<Delivery> deliveries = stable_deliveries();
  if (!options.stable) {
    auto& words = arguments.perturbations;
    if (std::ranges::find(words, "none") == words.end()) words.insert(words.begin(), "none");
    deliveries = parse_deliveries(words);
  } else if (!arguments.perturbations.empty()) {
    throw Error(ErrorCode::usage, "--stable has its own set of perturbations; leave --perturb out");
  }
  options.deliveries.clear();
  for (const Delivery& delivery : deliveries) options.deliveries.push_back(delivery.name());
  std::vector<std::string> names = options.deliveries;
  if (options.stable) names.insert(names.end(), {kMedian, kMedianSure});
  return names;
}

/// What is written, and everything that is read.
void settle_files(const EvaluateArguments& arguments, const TestData& data, const std::vector<fs::path>& models) {
  FilePlan plan(arguments.force);
  plan.write("-", "the table", Content::text);
  for (const std::string& file : arguments.outputs) {
    if (file != "-") plan.write(file, "--output", Content::text);
  }
  for (const std::string& file : arguments.pages) plan.write(file, "--report", Content::text);
  plan.write(arguments.calibrated, "--fit-calibration", Content::model);
  plan.write(arguments.scores, "--scores", Content::text);
  if (!arguments.embedding.empty()) {
    plan.write(arguments.embedding + ".npy", "--embed", Content::array);
    plan.write(arguments.embedding + ".csv", "--embed", Content::text);
    plan.write(arguments.embedding + ".svg", "--embed", Content::drawing);
  }
  for (const fs::path& model : models) plan.read(model, "the model");
  for (const LabelledFile& file : data.files) plan.read(file.path, "an input");
  plan.settle();
}

/// In the root, or the only process, all of it; in the others of a group their share of the scoring.
void evaluate(EvaluateArguments arguments, const Launch& launch) {
  std::vector<std::pair<std::string, Writer>> outputs;
  std::vector<std::string> html = arguments.pages;
  for (const std::string& file : arguments.outputs) {
    if (file == "-") continue;  // the table is printed anyway
    const std::string ending = format_ending(file);
    if (ending == ".html") {
      html.push_back(file);
    } else {
      outputs.emplace_back(file, writer_of(ending, file));
    }
  }
  if (!arguments.calibrated.empty() && (arguments.protocol == Protocol::paper || arguments.scoring.detector.stable)) {
    throw Error(
        ErrorCode::usage,
        "--fit-calibration goes with the model's own view and single deliveries; leave --protocol and --stable out");
  }
  arguments.perturbations = settle_conditions(arguments);
  DetectorOptions& options = arguments.scoring.detector;
  options.features = !arguments.embedding.empty();
  options.evidence = !html.empty();
  options.thumbnails = html.empty() ? 0 : kThumbnailSide;
  const ChosenModel chosen = choose_model(arguments.scoring);
  Model model = chosen.model;
  const bool paper = arguments.protocol == Protocol::paper;
  if (paper) {
    if (options.view) throw Error(ErrorCode::usage, "--protocol paper has a view for each test set; leave --view out");
    if (options.threshold_at)
      throw Error(ErrorCode::usage,
                  "--protocol paper has no calibration, which --threshold-at needs; give --threshold");
    model.thresholds = {};
    model.calibration = {};
    if (!options.threshold) options.threshold = 0.5f;
  }

  if (!launch.group().is_root()) {
    Detector detector(model, options);
    return help_root(launch, detector, {});
  }
  EvaluationReport report;
  report.data = find_subsets({arguments.roots.begin(), arguments.roots.end()});
  for (const std::string& line : report.data.warnings) {
    if (!arguments.scoring.quiet) tell(stderr, "warning: {}\n", printable(line));
  }
  report.compare = arguments.compare;
  settle_files(arguments, report.data, chosen.files);
  Detector detector(model, options);
  arguments.measure.threshold = detector.threshold();
  report.setting = {chosen.name(),
                    model.name,
                    paper ? "paper" : std::string(view_name(detector.view())),
                    detector.description(),
                    detector.threshold(),
                    model.calibration.temperature,
                    model.calibration.bias,
                    model.members.empty() ? std::vector<std::string>{} : detector.members(),
                    arguments.measure.resamples,
                    arguments.measure.seed};
  ReportPage page(options.stable);
  std::optional<EmbeddingFiles> embedding;
  if (!arguments.embedding.empty()) embedding.emplace(arguments.embedding, detector.feature_count());
  const std::vector<ScoredFile> files =
      score(launch, detector, arguments, report, html.empty() ? nullptr : &page, embedding ? &*embedding : nullptr);
  report.conditions = measure(report.data, files, arguments.perturbations, arguments.measure);

  std::vector<std::function<void()>> steps;
  for (const auto& [file, writer] : outputs) {
    steps.emplace_back([&, file = file, writer = writer] { write_output(file, writer(report)); });
  }
  if (!arguments.scores.empty()) {
    steps.emplace_back([&] { write_output(arguments.scores.string(), scores_csv(report, files)); });
  }
  if (embedding) steps.emplace_back([&] { embedding->write(report.data); });
  for (const std::string& file : html) {
    steps.emplace_back([&] {
      const std::string title = fmt::format("{} evaluated by lfm-cuda",
                                            model.name.empty() ? chosen.files[0].filename().string() : model.name);
      write_output(file, page.html(title, chosen.files, model, detector.view(), detector.threshold(), &report));
    });
  }
  if (!arguments.calibrated.empty())
    steps.emplace_back([&] { calibrate(arguments, model, detector.view(), report, files); });
  steps.emplace_back(
      [&] { write_output("-", arguments.format(report)); });  // last: where nobody reads it, no file is lost
  if (const ExitCode code = do_each(steps); code != kSuccess) end_with(code);
  if (report.failed > 0) end_with(kFailure);
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("evaluate", "Measure a model on folders of real and generated images");
  const auto a = std::make_shared<EvaluateArguments>();
  command->footer(kEvaluateFooter);
  command->add_option("roots", a->roots, "Test sets: folders with .../0_real/* and .../1_fake/*")
      ->required()
      ->type_name("ROOT");
  add_scoring_options(*command, a->scoring);
  add_choice<Protocol>(
      *command, "--protocol",
      "model: the model's view, threshold and calibration; paper: resized to 256x256 but for GANGen-Detection, "
      "threshold 0.5, no calibration (default: model)",
      [a](Protocol protocol) { a->protocol = protocol; });
  command
      ->add_option("--perturb", a->perturbations,
                   "Measure again with every picture, real or fake, put through this, or\n"
                   "several: jpeg:90,75 blur:1,2. screen: shrunk to so many pixels at\n"
                   "most, as a screenshot; social: as screen, then JPEG 75")
      ->type_name(delivery_words("|"));
  command->add_flag("--compare", a->compare, "Put the paper's figures beside, matched by folder name");
  command->add_option("--bootstrap", a->measure.resamples, "Resamples for the 95 % intervals; 0: none (default: 1000)")
      ->check(number_in(0, 1000000))
      ->type_name("N");
  command->add_option("--seed", a->measure.seed, "Of the resamples (default: 1)")
      ->check(any_number<std::uint64_t>())
      ->type_name("N");
  add_choice<Writer>(*command, "-f,--format", meanings(kWriters) + " (default: text)", kWriters,
                     [a](Writer format) { a->format = format; });
  command->add_flag("--stable", a->scoring.detector.stable,
                    "Measure the answers of detect --stable: each re-delivery alone, their\n"
                    "median, and the median where it is sure");
  CLI::Option* fit = command
                         ->add_option("--fit-calibration", a->calibrated,
                                      "Also write the model with a calibration, and thresholds by false alarms,\n"
                                      "fitted on these pictures, each folder of reals a kind, in every\n"
                                      "condition alike; they must not be those it trained on")
                         ->type_name("MODEL.lfmw");
  command
      ->add_option_function<std::string>(
          "--fit-threshold",
          [a](const std::string& rule) {
            a->fitted_rate = rule == "balanced" ? std::nullopt : std::optional(parse_rate(rule));
            const auto known = [&](double rate) { return std::abs(rate - *a->fitted_rate) < 1e-9; };
            if (a->fitted_rate && std::ranges::none_of(kFalseAlarmRates, known)) {
              throw Error(ErrorCode::usage, "--fit-threshold is 1%, 5%, 10% or balanced");
            }
          },
          "Which threshold that model gets: of false alarms of at most 1%, 5% or\n"
          "10% in the worst kind of real, or balanced: that of the best balanced\naccuracy (default: 5%)")
      ->needs(fit)
      ->type_name("1%|5%|10%|balanced");
  command
      ->add_option("--scores", a->scores, "Also write every picture's logit and score in every condition, a line each")
      ->type_name("FILE.csv");
  command
      ->add_option("--embed", a->embedding,
                   "Also write what enters the network's last layer, PREFIX.npy, the\n"
                   "rows' files, PREFIX.csv, and their t-SNE picture, PREFIX.svg")
      ->type_name("PREFIX");
  command
      ->add_option("--report", a->pages,
                   "Also write a page with the pictures, their scores and where these\ncome from: one HTML file, for "
                   "any browser")
      ->expected(1)
      ->type_name("FILE.html");
  command
      ->add_option("-o,--output", a->outputs,
                   "Also write it there, as the ending says: .txt, .md, .csv, .json, .html\n(as --report); may be "
                   "given more than once")
      ->expected(1)
      ->take_all()
      ->type_name("FILE");
  add_force_flag(*command, a->force);
  command->callback([a] {
    if (const ExitCode code = run_scoring(a->scoring, [&](Launch& launch) { evaluate(*a, launch); }); code != kSuccess)
      end_with(code);
  });
}

}  // namespace lfm
