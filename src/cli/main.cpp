// lfm-cuda: dispatches to the subcommands and turns what they throw into messages and exit codes.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <new>
#include <string>

#include "src/cli/commands.h"
#include "src/cli/launch.h"
#include "src/engine/cuda/devices.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

ExitCode exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
      return kUsage;
    case ErrorCode::model:
    case ErrorCode::device:
      return kUnusable;
    case ErrorCode::input:
    case ErrorCode::output:
      break;
  }
  return kFailure;
}

constexpr const char* kMainFooter =
    "Examples:\n"
    "  lfm-cuda detect photo.jpg                    one score: 0 = real, 1 = generated\n"
    "  lfm-cuda detect --format csv photos/         every image in a folder, as a table for a spreadsheet\n"
    "  lfm-cuda convert reference.pth model.lfmw    weights from PyTorch or safetensors, without running code in them\n"
    "\n"
    "Exit codes: 0 all is well, 1 some inputs failed or the output could not be written,\n"
    "            2 wrong usage, 3 no usable device or model, 130 interrupted.\n"
    "'lfm-cuda COMMAND --help' explains a command.\n";

void print_error(const std::string& message) { fmt::print(stderr, "lfm-cuda: error: {}\n", printable(message)); }

std::string version_text() {
  const std::string mpi = mpi_version();
  return fmt::format("lfm-cuda {}\nCUDA: {}\nMPI: {}\nNCCL: {}", LFM_VERSION, built_with_cuda() ? "yes" : "no", mpi.empty() ? "no" : mpi,
                     LFM_WITH_NCCL ? "yes" : "no");
}

/// Gives closed standard descriptors a place that can't be written to, lest a file opened later be taken for standard output.
void occupy_standard_descriptors() {
  for (int descriptor = open("/dev/null", O_RDONLY); descriptor >= 0; descriptor = open("/dev/null", O_RDONLY)) {
    if (descriptor <= STDERR_FILENO) continue;
    close(descriptor);
    return;
  }
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return kSuccess;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::RuntimeError& reported) {
    return reported.get_exit_code();
  } catch (const CLI::ParseError& error) {
    print_error(error.what());
    std::string command = app.get_name();
    for (const CLI::App* used : app.get_subcommands()) command += " " + used->get_name();
    fmt::print(stderr, "'{} --help' shows the options.\n", command);
    return kUsage;
  }
}

}  // namespace

ExitCode report_error(const std::exception& error, const std::string& process) {
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  const auto* own = dynamic_cast<const Error*>(&error);
  print_error(fmt::format("{}{}{}", process, process.empty() ? "" : ": ", no_memory ? "out of memory" : error.what()));
  return own ? exit_code(own->code()) : kFailure;
}

}  // namespace lfm

int main(int argc, char** argv) {
  lfm::occupy_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other, reported by the command that writes
  CLI::App app{"Tells real photos from AI-generated and manipulated ones (LFM: local focus mechanism).", "lfm-cuda"};
  app.set_version_flag("--version", lfm::version_text);
  app.footer(lfm::kMainFooter);
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  lfm::add_detect_command(app);
  lfm::add_evaluate_command(app);
  lfm::add_explain_command(app);
  lfm::add_train_command(app);
  lfm::add_convert_command(app);
  lfm::add_info_command(app);
  lfm::add_bench_command(app);

  if (argc == 1) {
    fmt::print(stderr, "{}", app.help());
    return lfm::kUsage;
  }
  try {
    return lfm::parse(app, argc, argv);
  } catch (const std::exception& error) {
    return lfm::report_error(error);
  }
}
