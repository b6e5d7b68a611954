#include "src/cli/detector_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "src/cli/number_checks.h"
#include "src/engine/device.h"
#include "src/eval/threshold_table.h"
#include "src/model/combination.h"
#include "src/report/terminal.h"

namespace lfm {

void add_scoring_options(CLI::App& command, ScoringArguments& arguments) {
  ScoringArguments* a = &arguments;
  command
      .add_option("-m,--model", a->model,
                  "Weight file, or the name of an installed model\n(default: $LFM_MODEL, else the installed one); or "
                  "several that judge\ntogether: default,reference.lfmw")
      ->type_name("MODEL");
  add_combine_option(command, a->combination);
  command
      .add_option("-d,--device", a->detector.device,
                  "auto: a GPU if there is one, else the CPU; cuda:all: every GPU, batch\n"
                  "by batch whichever is free; to check results: reference, emulated\n(default: auto)")
      ->type_name(device_words(Devices::all));
  add_choice<Precision>(command, "--precision",
                        "Arithmetic of the network; which there are depends on the device. On a CPU auto is fp32; bf16 "
                        "needs AVX512_BF16, "
                        "is faster, and moves logits by some 0.05 (default: auto)",
                        [a](Precision precision) { a->detector.precision = precision; });
  add_kernels_option(command, a->detector.kernels);
  command
      .add_option("-b,--batch", a->detector.batch,
                  "Images that go through the network together\n(default: what suits the device)")
      ->check(number_in(1, 4096))
      ->type_name("N");
  command.add_option("-t,--threads", a->detector.threads, "CPU threads (default: all cores)")
      ->check(number_in(1, 1024))
      ->type_name("N");
  add_choice<View>(command, "--view",
                   "What the network sees: " + meanings(words(View{})) + " (default: what the model was trained for)",
                   [a](View view) { a->detector.view = view; });
  command.add_option("--tiles", a->detector.tiles, "Tiles of one picture at most, with --view tiles (default: 9)")
      ->check(number_in(1, 1024))
      ->type_name("N");
  CLI::Option* given = command
                           .add_option_function<float>(
                               "--threshold", [a](const float& threshold) { a->detector.threshold = threshold; },
                               "Score above which an image is called fake (default: the model's)")
                           ->check(number_in(0.0, 1.0))
                           ->type_name("0..1");
  command
      .add_option_function<std::string>(
          "--threshold-at", [a](const std::string& rate) { a->detector.threshold_at = parse_rate(rate); },
          "Instead, the threshold that calls at most this share of the reals of\n"
          "every kind fake, from the model's table (see info)")
      ->excludes(given)
      ->type_name("1%|5%|10%");
  command
      .add_option("--max-pixels", a->detector.limits.max_pixels,
                  "Refuse larger images before they are decoded (default: 256000000)")
      ->check(number_in(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->type_name("N");
  command.add_flag("-q,--quiet", a->quiet, "No progress, notes or summary; errors are still shown");
  a->detector.note = [a](const std::string& note) {
    if (!a->quiet) tell(stderr, "lfm-cuda: {}\n", printable(note));
  };
}

void add_kernels_option(CLI::App& command, std::string& kernels) {
  command
      .add_option("--kernels", kernels,
                  wrapped("Whose kernels compute on a GPU: lfm-cuda's own, or cuDNN's or cuBLAS's wherever they can "
                          "(cudnn: blocks 2 to 4; cublas: these unfolded, the projection and the head); or a stage "
                          "each: block3=cudnn,projection=cublas (default: own)"))
      ->type_name("own|cudnn|cublas|STAGE=...");
}

std::string wrapped(std::string_view text) {
  constexpr std::size_t width = 70;
  std::string lines;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (column > 0) {
      const bool fits = column + 1 + end <= width;
      lines += fits ? ' ' : '\n';
      column = fits ? column + 1 : 0;
    }
    lines += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void add_combine_option(CLI::App& command, std::optional<Combination>& combination) {
  add_choice<Combination>(command, "--combine",
                          "How a model of several members answers: " + meanings(words(Combination{})) +
                              " (default: the file's; of several files first-fake)",
                          [&combination](Combination word) { combination = word; });
}

std::string ChosenModel::name() const {
  std::string text;
  for (const std::filesystem::path& file : files) text += (text.empty() ? "" : ",") + file.string();
  return text;
}

ChosenModel choose_model(const ScoringArguments& arguments) {
  ChosenModel chosen;
  chosen.files = find_models(arguments.model);
  chosen.model = load_models(chosen.files);
  if (!arguments.combination) return chosen;
  if (chosen.model.members.empty()) {
    throw Error(ErrorCode::usage,
                fmt::format("--combine: {} is a single network; name several with --model A,B", chosen.name()));
  }
  set_combination(chosen.model, *arguments.combination);
  return chosen;
}

void add_force_flag(CLI::App& command, bool& force) {
  command.add_flag(
      "--force", force,
      "Replace pictures, models and other files that are no results of\nlfm-cuda too, even an input or the model");
}

void add_null_flag(CLI::App& command, ListSeparator& separator) {
  command.add_flag_callback(
      "-0,--null", [&separator] { separator = ListSeparator::nul; },
      "The list on standard input has a NUL byte after each path, as find\n-print0 writes it");
}

}  // namespace lfm
