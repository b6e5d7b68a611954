// lfm-cuda train: trains a model, or goes on with a run that was interrupted.
#include <fmt/core.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/cli/commands.h"
#include "src/cli/detector_options.h"
#include "src/cli/interruption.h"
#include "src/cli/launch.h"
#include "src/cli/number_checks.h"
#include "src/cli/together.h"
#include "src/report/terminal.h"
#include "src/train/status_line.h"
#include "src/train/trainer.h"

namespace lfm {
namespace {

volatile std::sig_atomic_t interrupt_asked = 0;

// The first one lets the step finish; the handler is then gone, so a second one ends the process as usual.
void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { interrupt_asked = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : kInterrupts) sigaction(signal, &action, nullptr);
}

void release_interrupts() {
  for (const int signal : kInterrupts) std::signal(signal, SIG_DFL);
}

struct TrainArguments {
  TrainOptions options;
  bool resume = false;
  bool quiet = false;
};

// Adds one option of TrainOptions to the command line.
struct AddOption {
  CLI::App& app;

  template <typename T>
  void operator()(const OptionText& text, T& value) const {
    const std::string flag = std::string("--") + text.name;
    CLI::Option* option = nullptr;
    if constexpr (std::is_same_v<T, bool>) {
      const bool other = !value;
      const auto set = [&value, other](std::int64_t) { value = other; };
      option = app.add_flag_function(value ? std::string("--no-") + text.name : flag, set, text.help);
    } else if constexpr (std::is_enum_v<T>) {
      const std::vector<Word<T>> rows = option_words(value);
      std::map<std::string, T> names;
      for (const Word<T>& row : rows) names.emplace(row.word, row.value);
      option = app.add_option(flag, value, text.help)->transform(CLI::CheckedTransformer(names).description(""));
      option->type_name(alternatives(rows))->default_str(std::string(word_of(value)));
    } else if constexpr (std::is_same_v<T, Range>) {
      const auto set = [&value](const std::pair<float, float>& range) { value = {range.first, range.second}; };
      option = app.add_option_function<std::pair<float, float>>(flag, set, text.help)
                   ->check(any_number<float>())
                   ->type_name("MIN MAX");
      option->default_str(fmt::format("{:g} {:g}", value.min, value.max));
    } else {
      option = app.add_option(flag, value, text.help);
      if constexpr (std::is_arithmetic_v<T>) option->check(any_number<T>())->capture_default_str();
      if constexpr (std::is_same_v<T, std::vector<std::string>>) option->delimiter(',');
    }
    if (!text.words.empty()) option->type_name(text.words);
    option->group(text.group);
  }
};

// The options that stand on the command line, as the checkpoint names them.
nlohmann::json given_options(const CLI::App& app, const TrainOptions& options) {
  const nlohmann::json all = to_json(options);
  nlohmann::json given = nlohmann::json::object();
  const TrainOptions defaults;
  visit_options(defaults, [&](const OptionText& text, const auto& value) {
    bool switched_off = false;
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>) switched_off = value;
    const CLI::Option* option = app.get_option(std::string(switched_off ? "--no-" : "--") + text.name);
    if (option->count() > 0) given[text.name] = all[text.name];
  });
  given.erase("out");
  return given;
}

ExitCode train(const CLI::App& app, const TrainArguments& arguments, const ProcessGroup& group) {
  StatusLine line(arguments.quiet || !group.is_root());
  const TrainHooks hooks = {
      [&](const std::string& text) {
        line.clear();
        if (!arguments.quiet) tell(stdout, "{}\n", printable(text));
      },
      [&](const TrainProgress& progress) { line.show(progress); },
      [] { return interrupt_asked != 0; },
  };
  const std::filesystem::path& out = arguments.options.out;
  const TrainOutcome outcome = arguments.resume
                                   ? resume_training(out, given_options(app, arguments.options), hooks, group)
                                   : start_training(arguments.options, hooks, group);
  line.clear();
  if (!group.is_root()) return kSuccess;
  if (outcome.end == TrainEnd::interrupted) {
    tell(stderr, "interrupted and saved at step {}; go on with: lfm-cuda train --resume --out {}\n", outcome.state.step,
         printable(out.string()));
    return kInterrupted;
  }
  if (arguments.quiet) return kSuccess;
  if (outcome.end == TrainEnd::stopped_early)
    tell(stdout, "stopped early: no better model for {} epochs\n", outcome.state.epochs_without_gain);
  const bool has_best = outcome.state.best.has_value();
  tell(stdout, "{}: {}last.lfmw, log.jsonl and curves.html\n", printable(out.string()), has_best ? "best.lfmw, " : "");
  return kSuccess;
}

// The interrupts are released before MPI ends: from then on mpirun must be able to end a process that waits for one
// that is gone.
ExitCode run(const CLI::App& app, const TrainArguments& arguments) {
  Launch launch;
  const ProcessGroup& group = launch.group();
  catch_interrupts();
  try {
    const ExitCode code = train(app, arguments, group);
    release_interrupts();
    launch.leave(interrupt_asked == SIGTERM);
    return code;
  } catch (const std::exception& error) {
    release_interrupts();
    return end_after(launch, error);
  }
}

}  // namespace

void add_train_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "Trains a model on folders of real and generated images");
  const auto arguments = std::make_shared<TrainArguments>();
  visit_options(arguments->options, AddOption{*command});
  command->get_option("--out")->required();
  command->add_flag("--resume", arguments->resume, "Go on with the run in --out from its last checkpoint")
      ->group("Keeping");
  command->add_flag("-q,--quiet", arguments->quiet, "Print errors only")->group("Machine");
  command->footer(
      "Examples:\n"
      "  lfm-cuda train --data photos/ --val held-out/ --out run1      the paper's protocol\n"
      "  lfm-cuda train --resume --out run1                            after Ctrl-C or a crash\n"
      "  lfm-cuda train --data more/ --init run1/best.lfmw --lr 1e-5 --out run2\n"
      "  lfm-cuda train --network npr --data photos/ --out npr         a rival's network, to score beside\n"
      "  lfm-cuda train --teacher reference.lfmw --data pictures/ --view native --crop 128 --out student    no labels "
      "needed\n"
      "  mpirun -np 4 --bind-to none lfm-cuda train --batch 8 ...      four processes share each step of 4 x 8 images\n"
      "Every folder holds .../0_real/* and .../1_fake/* at any depth; with a teacher, any pictures. Ctrl-C finishes "
      "the step and saves.\n");
  command->callback([command, arguments] {
    if (!arguments->resume) {
      apply_network(arguments->options, [command](const char* name) {
        const CLI::Option* option = command->get_option_no_throw(std::string("--") + name);
        return (option ? option : command->get_option(std::string("--no-") + name))->count() > 0;
      });
    }
    if (const ExitCode code = run(*command, *arguments); code != kSuccess) end_with(code);
  });
}

}  // namespace lfm
