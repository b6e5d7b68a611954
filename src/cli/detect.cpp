// lfm-cuda detect: scores images.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/interruption.h"
#include "src/cli/resume.h"
#include "src/cli/together.h"
#include "src/image/file.h"
#include "src/pipeline/media_source.h"
#include "src/pipeline/path_source.h"
#include "src/report/detections.h"
#include "src/report/file_plan.h"
#include "src/report/file_summary.h"
#include "src/report/npy.h"
#include "src/report/output.h"
#include "src/report/page.h"
#include "src/report/progress.h"
#include "src/report/resumable_file.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

enum class Sort { input, score, path };

constexpr std::array<Word<Sort>, 3> words(Sort) {
  return {{{"input", Sort::input, "as given"}, {"score", Sort::score, "fakes first"}, {"path", Sort::path}}};
}

struct DetectArguments {
  std::vector<std::string> inputs;
  ScoringArguments scoring;
  std::optional<OutputFormat> format;
  Sort sort = Sort::input;
  fs::path output;
  fs::path resume;
  fs::path features;
  std::vector<fs::path> pages;
  ListSeparator separator = ListSeparator::line;
  bool signs = true;
  MediaOptions media;
  bool force = false;
};

constexpr const char* kDetectFooter =
    "Examples:\n"
    "  lfm-cuda detect photo.jpg\n"
    "  lfm-cuda detect --format jsonl --output scores.jsonl photos/ more/photo.png\n"
    "  find photos -newer last-run -name '*.jpg' -print0 | lfm-cuda detect -0 --output new.csv -\n"
    "  lfm-cuda detect --resume scores.jsonl photos/            again after a crash or Ctrl-C: goes on where it "
    "stopped\n"
    "  lfm-cuda detect --sort score photos/ | head -20          the most suspicious first\n"
    "  lfm-cuda detect --every 2s --format jsonl clip.mp4       a record a frame, and one of the film\n"
    "  mpirun -np 4 lfm-cuda detect --resume scores.jsonl photos/    four processes, on one host or several, share the "
    "pictures\n"
    "\n"
    "Images are JPEG, PNG, WebP, HEIC, AVIF, TIFF, JPEG XL, BMP, GIF, TGA, PSD, PNM or the preview in a camera's raw "
    "file, told\n"
    "apart by content, at least 48x48. Folders are searched at any depth, in order of name; what is no image there is "
    "skipped\n"
    "and counted.\n"
    "\n"
    "JSON records: {\"path\", \"logit\", \"score\", \"label\", \"width\", \"height\", \"texture\", \"windows\",\n"
    "\"empty_windows\"} or {\"path\", \"error\"}; label is \"real\", \"fake\" or \"unsure\", which has a \"reason\": "
    "\"no-texture\" where\n"
    "neighbouring pixels hardly differ, so that there is nothing to tell by; with --stable also \"flips\" and "
    "\"close\". CSV has the\n"
    "columns path,logit,score,label,width,height,error,reason,part. --stable adds the lowest and highest score, low "
    "and high, and\n"
    "in JSON that of each delivery. \"part\" is \"preview\" of a raw file; \"orientation\" how a stored picture was "
    "turned to be upright.\n"
    "With a model of several members JSON has their \"members\", [{\"name\", \"logit\"}, ...], and the number of the "
    "one that\n"
    "\"decided_by\", CSV the columns member_1, member_2, ... and decided_by at the end; logit is then the joint one.\n"
    "\n"
    "JSON and pages also have \"signs\": what a file tells beside its pixels, never part of the score. C2PA manifests, "
    "XMP, IPTC,\n"
    "EXIF and PNG texts can name a generator; they are read, not verified, can be forged, and are nearly always gone: "
    "of 2,259 pictures of\n"
    "current services found in the web's copies 2 had kept their manifest. JPEG quality, double compression and "
    "resampling tell\n"
    "what was done to a picture, not who made it. The man page says what each is worth.\n"
    "\n"
    "Exit codes: 0 all scored, whatever the verdicts, 1 some inputs failed or the output could not be written, 2 wrong "
    "usage,\n"
    "            3 no usable device or model, 130 interrupted.\n";

/// Adds up what happened and tells it to the user; results go to the report alone.
class Tally {
 public:
  Tally(std::optional<std::size_t> total, bool quiet) : quiet_(quiet), progress_(total, quiet) {}

  void count(const Detection& detection) {
    if (detection.status == Detection::Status::skipped) ++skipped_;
    if (detection.status == Detection::Status::failed) ++failed_;
    if (detection.scored()) ++(detection.unsure ? unsure_ : detection.fake ? fakes_ : reals_);
    if (detection.status == Detection::Status::failed) {
      progress_.clear();
      tell(stderr, "lfm-cuda: {}: {}\n", printable(detection.path.string()), printable(detection.error));
    }
    progress_.step(detection.status != Detection::Status::skipped);
  }

  void make_way_for_output() { progress_.clear(); }

  /// meaning: what a verdict means, in words, or "".
  /// before: records of earlier runs.
  void summarize(const std::string& device, const std::string& meaning, std::size_t before) {
    progress_.clear();
    if (quiet_) return;
    const std::size_t scored = reals_ + fakes_ + unsure_;
    std::string text =
        fmt::format("{} {} scored: {} real, {} fake", scored, scored == 1 ? "image" : "images", reals_, fakes_);
    if (unsure_ > 0) text += fmt::format(", {} unsure", unsure_);
    if (failed_ > 0) text += fmt::format("; {} failed", failed_);
    if (skipped_ > 0)
      text += fmt::format("; {} {} skipped", skipped_,
                          skipped_ == 1 ? "file that is no image" : "files that are no images");
    if (before > 0) text += fmt::format("; {} before", before);
    const double rate = static_cast<double>(progress_.images()) / std::max(progress_.seconds(), 1e-6);
    tell(stderr, "{}. {:.1f} images/s, {}\n", text, rate, device);
    if (!meaning.empty() && reals_ + fakes_ > 0) tell(stderr, "{}.\n", printable(meaning));
  }

  bool failed() const { return failed_ > 0; }
  bool found_nothing() const { return failed_ == 0 && reals_ + fakes_ + unsure_ == 0; }

 private:
  bool quiet_;
  Progress progress_;
  std::size_t reals_ = 0, fakes_ = 0, unsure_ = 0, failed_ = 0, skipped_ = 0;
};

/// "2", "2s", "0.5s", "500ms" in seconds.
double parse_interval(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "ms") value /= 1000;
  constexpr double least = 0.001, most = 86'400;
  if (error != std::errc() || (!unit.empty() && unit != "s" && unit != "ms") || !(value >= least && value <= most)) {
    throw Error(ErrorCode::usage,
                fmt::format("--every: '{}' is no interval; give seconds, 1s or 0.5s for instance", text));
  }
  return value;
}

/// The format that an output's ending stands for; a table for any other.
OutputFormat format_of(const fs::path& output) {
  const std::string ending = format_ending(output);
  return value_of<OutputFormat>(std::string_view(ending).substr(ending.empty() ? 0 : 1)).value_or(OutputFormat::table);
}

/// What can't be written bit by bit, or not from where a stop left it, goes without --resume.
void settle_resume(DetectArguments& arguments) {
  if (arguments.resume.empty()) return;
  const auto refuse = [](const char* option, const char* why) {
    throw Error(ErrorCode::usage, fmt::format("--resume: {} {}; leave one of the two out", option, why));
  };
  if (arguments.format && *arguments.format != OutputFormat::jsonl) refuse("--format", "can be jsonl alone");
  if (arguments.sort != Sort::input) refuse("--sort", "needs all results at the end");
  if (arguments.media.pages || arguments.media.every)
    refuse("--pages and --every", "give many records of a file, between which it can't go on");
  if (!arguments.features.empty()) refuse("--features", "would lack what was scored before");
  if (!arguments.pages.empty()) refuse("--report", "would lack what was scored before");
  if (descriptor_of(arguments.resume)) refuse("its FILE.jsonl", "can be no stream");
  arguments.format = OutputFormat::jsonl;
}

/// Settles what the ending of --output says where --format doesn't: .html is a page, and then there is no other report.
bool settle_format(DetectArguments& arguments) {
  const bool is_page = !arguments.format && format_ending(arguments.output) == ".html";
  if (is_page) arguments.pages.push_back(std::exchange(arguments.output, {}));
  if (!arguments.format) arguments.format = format_of(arguments.output);
  return !is_page;
}

/// What is read and written, but for the members of folders.
FilePlan plan_files(const DetectArguments& arguments, bool has_report, const std::vector<fs::path>& models) {
  FilePlan plan(arguments.force);
  plan.write(arguments.resume, "--resume", Content::text);
  if (!arguments.resume.empty())
    plan.write(ResumableFile::settings_path(arguments.resume), "the settings of --resume", Content::text);
  if (has_report && arguments.resume.empty())
    plan.write(arguments.output.empty() ? "-" : arguments.output, arguments.output.empty() ? "the report" : "--output",
               Content::text);
  plan.write(arguments.features, "--features", Content::array);
  for (const fs::path& page : arguments.pages) plan.write(page, "--report", Content::text);
  for (const fs::path& model : models) plan.read(model, "the model");
  for (const std::string& input : arguments.inputs) {
    input == "-" ? plan.read_descriptor(STDIN_FILENO, "the list on standard input") : plan.read(input, "an input");
  }
  plan.settle();
  return plan;
}

/// Writes records as they come or, to be sorted, when all are there.
class Report {
 public:
  /// deliveries: of each picture, where there are several; members: of the model. resumed: where records go instead, if
  /// to any.
  Report(const DetectArguments& arguments, std::vector<std::string> deliveries, std::vector<std::string> members,
         ResumableFile* resumed)
      : format_(*arguments.format),
        sort_(arguments.sort),
        resumed_(resumed),
        deliveries_(std::move(deliveries)),
        members_(std::move(members)) {
    if (!resumed_) output_.emplace(arguments.output);
    send(report_header(format_, !deliveries_.empty(), members_.size()));
  }

  void add(Detection&& detection) {
    if (sort_ == Sort::input) return write(detection);
    detection.features = {};
    detection.evidence = {};
    detection.thumbnail = {};
    kept_.push_back(std::move(detection));
  }

  /// Completes the report and puts it into place.
  void finish() {
    close();
    if (output_) output_->commit();
  }

  /// Writes what is still to be written, and leaves a file that was to be replaced as it was.
  void close() {
    std::stable_sort(kept_.begin(), kept_.end(), [this](const Detection& a, const Detection& b) {
      if (sort_ == Sort::path) return a.path.native() < b.path.native();
      return a.scored() != b.scored() ? a.scored() : a.score > b.score;  // failed ones last
    });
    for (const Detection& detection : kept_) write(detection);
    for (const FileSummary& summary : summaries_) write_summary(summary);
    send(report_footer(format_, !first_));
    if (resumed_) resumed_->commit();
  }

  bool is_terminal() const { return output_ && output_->is_terminal(); }

  void add_summary(const FileSummary& summary) {
    if (sort_ != Sort::input) return summaries_.push_back(summary);
    write_summary(summary);
  }

 private:
  void send(const std::string& text) { resumed_ ? resumed_->write(text) : output_->write(text); }
  void write_summary(const FileSummary& summary) {
    send(summary_record(format_, summary, first_, !deliveries_.empty()));
    first_ = false;
  }
  void write(const Detection& detection) {
    send(report_record(format_, detection, first_, deliveries_, members_));
    first_ = false;
  }

  OutputFormat format_;
  Sort sort_;
  ResumableFile* resumed_;
  std::optional<Output> output_;
  std::vector<std::string> deliveries_, members_;
  bool first_ = true;
  std::vector<Detection> kept_;
  std::vector<FileSummary> summaries_;
};

/// In the root, or the only process, all of it; in the others of a group their share of the scoring.
void detect(DetectArguments arguments, const Launch& launch) {
  if (!arguments.features.empty() && arguments.sort != Sort::input) {
    throw Error(ErrorCode::usage, "--features writes rows in input order; leave --sort out");
  }
  settle_resume(arguments);
  const bool has_report = settle_format(arguments);
  DetectorOptions& options = arguments.scoring.detector;
  options.features = !arguments.features.empty();
  options.evidence = !arguments.pages.empty();
  const bool shows_signs =
      !arguments.pages.empty() ||
      (has_report && (*arguments.format == OutputFormat::json || *arguments.format == OutputFormat::jsonl));
  options.signs = arguments.signs && shows_signs;
  options.thumbnails = arguments.pages.empty() ? 0 : kThumbnailSide;
  arguments.media.limits = options.limits;
  const bool quiet = arguments.scoring.quiet, stable = options.stable;
  if (!launch.group().is_root()) {
    Detector detector(choose_model(arguments.scoring).model, options);
    return help_root(launch, detector, arguments.media);
  }
  FilePlan plan = plan_files(arguments, has_report, find_models(arguments.scoring.model));
  const ChosenModel chosen = choose_model(arguments.scoring);
  Detector detector(chosen.model, options);

  const std::vector<fs::path> inputs(arguments.inputs.begin(), arguments.inputs.end());
  const bool listed = std::ranges::find(inputs, fs::path("-")) != inputs.end();
  std::optional<std::size_t> total;
  const bool in_parts = arguments.media.pages || arguments.media.every;  // how many is not known then
  if ((!quiet && !in_parts) || plan.watches()) {
    total = count_paths(inputs, [&](const Input& input) {
      if (plan.watches() && input.from_folder && counts_as_picture(input.path)) plan.read(input.path, "an input");
    });
  }
  std::optional<ResumableFile> resumed;
  if (!arguments.resume.empty()) resumed.emplace(arguments.resume, resume_settings(chosen, options, detector));
  const std::size_t before = resumed ? resumed->records() : 0;
  if (total) total = *total - std::min(*total, before);
  std::optional<Report> report;
  if (has_report) {
    report.emplace(arguments, stable ? detector.deliveries() : std::vector<std::string>{}, detector.members(),
                   resumed ? &*resumed : nullptr);
  }
  std::optional<NpyWriter> features;
  if (!arguments.features.empty()) features.emplace(arguments.features, detector.feature_count());
  ReportPage page(stable);
  Tally tally(total, quiet);

  PathSource paths(inputs, STDIN_FILENO, arguments.separator);
  std::optional<RemainingSource> remaining;
  if (resumed) remaining.emplace(paths, *resumed);
  InputSource& source = remaining ? static_cast<InputSource&>(*remaining) : paths;
  SummaryMaker summaries;
  const auto summarize = [&](const std::optional<FileSummary>& summary) {
    if (summary && report) report->add_summary(*summary);
  };
  const int processes = launch.group().size();
  const std::string device =
      processes == 1 ? detector.description() : fmt::format("{} processes, each {}", processes, detector.description());
  const Interruption interruption(paths);
  score_together(launch, detector, source, arguments.media, [&](Detection&& detection) {
    if (detection.status == Detection::Status::skipped) return tally.count(detection);
    if (in_parts) summarize(summaries.add(detection));
    if (listed) plan.read(detection.path, "an input");  // those on a list come to light here
    tally.count(detection);
    if (features) detection.scored() ? features->write_row(detection.features) : features->write_missing_row();
    if (!arguments.pages.empty()) page.add(detection);
    if (!report) return;
    if (report->is_terminal()) tally.make_way_for_output();
    report->add(std::move(detection));
  });
  summarize(summaries.finish());
  if (interruption.happened()) {
    if (report) report->close();
    tally.summarize(device, detector.verdict_meaning(), before);
    tell(stderr, "lfm-cuda: interrupted before all inputs were scored; {}\n",
         resumed ? "the same command goes on from here" : "no file was written");
    end_with(kInterrupted);
  }
  std::vector<std::function<void()>> steps;
  if (report) steps.emplace_back([&] { report->finish(); });
  if (features) steps.emplace_back([&] { features->commit(); });
  for (const fs::path& file : arguments.pages) {
    steps.emplace_back([&] {
      const std::string title = fmt::format("{} pictures scored by lfm-cuda", page.pictures());
      write_output(file, page.html(title, chosen.files, chosen.model, detector.view(), detector.threshold()));
    });
  }
  const ExitCode written = do_each(steps);
  tally.summarize(device, detector.verdict_meaning(), before);
  if (written != kSuccess) end_with(written);
  if (before == 0 && tally.found_nothing()) throw Error(ErrorCode::input, "the inputs hold no images");
  if (tally.failed() || (resumed && resumed->failed() > 0)) end_with(kFailure);
}

}  // namespace

void add_detect_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("detect", "Score images: 0 = real, 1 = generated");
  const auto a = std::make_shared<DetectArguments>();
  command->footer(kDetectFooter);

  command
      ->add_option("inputs", a->inputs,
                   "Images, folders of images, or - for a list on standard input,\none path a line")
      ->required()
      ->type_name("PATH");
  add_scoring_options(*command, a->scoring);
  command->add_flag("--stable", a->scoring.detector.stable,
                    "Score mild re-deliveries too (re-compressed, 0.75x, shifted); the\n"
                    "median counts, and a verdict that flips or is close is 'unsure'");
  add_choice<OutputFormat>(*command, "-f,--format",
                           meanings(words(OutputFormat{})) + " (default: what the ending of --output says, else table)",
                           [a](OutputFormat format) { a->format = format; });
  command
      ->add_option("-o,--output", a->output,
                   "Write the report there; the file appears when it is complete.\nEndings choose formats: .csv, "
                   ".json, .jsonl, .html (as --report)")
      ->type_name("FILE");
  command
      ->add_option("--resume", a->resume,
                   "Write JSONL there as records come, and go on after any stop: the same\ncommand again scores what "
                   "has no record yet")
      ->type_name("FILE.jsonl")
      ->excludes("--output");
  add_choice<Sort>(*command, "--sort",
                   meanings(words(Sort{})) + "; but for input, all results are kept in memory (default: input)",
                   [a](Sort sort) { a->sort = sort; });
  command->add_option("--features", a->features, "Also write what enters the last layer, one row a record")
      ->type_name("FILE.npy");
  command
      ->add_option(
          "--report", a->pages,
          "Also write a page of the pictures, their scores and where these come\nfrom: one HTML file, for any browser")
      ->expected(1)
      ->type_name("FILE.html");
  command->add_flag("--pages", a->media.pages, "Score every page of a TIFF, not the first alone");
  command
      ->add_option_function<std::string>(
          "--every", [a](const std::string& text) { a->media.every = parse_interval(text); },
          "Score films (MP4, MOV, MKV, WebM): a frame every so many seconds,\n"
          "and a summary of each film")
      ->type_name("SECONDS");
  command->add_flag_callback(
      "--no-signs", [a] { a->signs = false; },
      "Leave out of JSON and pages what files tell beside their pixels, and\nthe time it takes to look for it");
  add_force_flag(*command, a->force);
  add_null_flag(*command, a->separator);
  command->callback([a] {
    if (const ExitCode code = run_scoring(a->scoring, [&](Launch& launch) { detect(*a, launch); }); code != kSuccess)
      end_with(code);
  });
}

}  // namespace lfm
