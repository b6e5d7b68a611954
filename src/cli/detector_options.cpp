#include "src/cli/detector_options.h"

#include <fmt/core.h>

#include <cstdint>

#include "src/cli/number_checks.h"
#include "src/eval/threshold_table.h"
#include "src/report/terminal.h"

namespace lfm {

void add_scoring_options(CLI::App& command, ScoringArguments& arguments) {
  ScoringArguments* a = &arguments;
  command.add_option("-m,--model", a->model, "Weight file, or the name of an installed model\n(default: $LFM_MODEL, else the installed one)")
      ->type_name("MODEL");
  command.add_option("-d,--device", a->detector.device,
                     "auto (a GPU if there is one, else the CPU), cpu, cuda, cuda:N,\n"
                     "cuda:all (every GPU, batch by batch whichever is free);\n"
                     "to check results: reference, emulated (default: auto)")
      ->type_name("NAME");
  add_choice<Precision>(command, "--precision",
                        "Arithmetic of the network: auto, fp32, tf32, fp16, bf16; which of them\n"
                        "there are depends on the device. On a CPU auto is fp32; bf16 needs\n"
                        "AVX512_BF16, is faster, and moves logits by some 0.05 (default: auto)",
                        {{"auto", Precision::automatic}, {"fp32", Precision::fp32}, {"tf32", Precision::tf32},
                         {"fp16", Precision::fp16}, {"bf16", Precision::bf16}},
                        [a](Precision precision) { a->detector.precision = precision; });
  command.add_option("-b,--batch", a->detector.batch,
                     "Images that go through the network together\n(default: what suits the device)")
      ->check(number_in(1, 4096))
      ->type_name("N");
  command.add_option("-t,--threads", a->detector.threads, "CPU threads (default: all cores)")
      ->check(number_in(1, 1024))
      ->type_name("N");
  add_choice<View>(command, "--view",
                   "What the network sees: resize (to 256x256), native (every pixel),\n"
                   "center (the central 256x256 pixels), tiles (256x256 windows that\n"
                   "cover the picture; the mean of their logits)\n(default: what the model was trained for)",
                   {{"resize", View::resize}, {"native", View::native}, {"center", View::center}, {"tiles", View::tiles}},
                   [a](View view) { a->detector.view = view; });
  command.add_option("--tiles", a->detector.tiles, "Tiles of one picture at most, with --view tiles (default: 9)")
      ->check(number_in(1, 1024))
      ->type_name("N");
  CLI::Option* given =
      command
          .add_option_function<float>("--threshold", [a](const float& threshold) { a->detector.threshold = threshold; },
                                      "Score above which an image is called fake (default: the model's)")
          ->check(number_in(0.0, 1.0))
          ->type_name("0..1");
  command.add_option_function<std::string>("--threshold-at", [a](const std::string& rate) { a->detector.threshold_at = parse_rate(rate); },
                                           "Instead, the threshold that calls at most this share of the reals of\n"
                                           "every kind fake, from the model's table (see info)")
      ->excludes(given)
      ->type_name("1%|5%|10%");
  command.add_option("--max-pixels", a->detector.limits.max_pixels,
                     "Refuse larger images before they are decoded (default: 256000000)")
      ->check(number_in(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->type_name("N");
  command.add_flag("-q,--quiet", a->quiet, "No progress, notes or summary; errors are still shown");
  a->detector.note = [a](const std::string& note) {
    if (!a->quiet) tell(stderr, "lfm-cuda: {}\n", printable(note));
  };
}

void add_force_flag(CLI::App& command, bool& force) {
  command.add_flag("--force", force, "Replace pictures, models and other files that are no results of\nlfm-cuda too, even an input or the model");
}

void add_null_flag(CLI::App& command, ListSeparator& separator) {
  command.add_flag_callback("-0,--null", [&separator] { separator = ListSeparator::nul; },
                            "The list on standard input has a NUL byte after each path, as find\n-print0 writes it");
}

}  // namespace lfm
