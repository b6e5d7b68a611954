// lfm-cuda: dispatches to the subcommands and turns what they throw into messages and exit codes.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "src/cli/commands.h"
#include "src/cli/launch.h"
#include "src/cli/mistyped.h"
#include "src/engine/cuda/devices.h"
#include "src/report/terminal.h"

namespace lfm {
namespace {

ExitCode exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage: return kUsage;
    case ErrorCode::model:
    case ErrorCode::device: return kUnusable;
    case ErrorCode::input:
    case ErrorCode::output: break;
  }
  return kFailure;
}

constexpr const char* kMainFooter =
    "Examples:\n"
    "  lfm-cuda detect photo.jpg                    one score: 0 = real, 1 = generated\n"
    "  lfm-cuda detect --format csv photos/         every image in a folder, as a table for a spreadsheet\n"
    "  lfm-cuda convert reference.pth model.lfmw    weights from PyTorch or safetensors, without running code in them\n"
    "\n"
    "Exit codes: 0 all is well, 1 some inputs failed, the output could not be written, or memory ran out,\n"
    "            2 wrong usage, 3 no usable device or model, 130 interrupted.\n"
    "'lfm-cuda COMMAND --help' explains a command.\n";

constexpr const char* kOutOfMemory =
    "lfm-cuda: error: out of memory; use fewer --threads or a smaller --batch, or end other programs\n";

void print_error(const std::string& message) { tell(stderr, "lfm-cuda: error: {}\n", printable(message)); }

std::string message_of(const std::exception& error) {
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system && system->code() == std::errc::resource_unavailable_try_again) {  // what std::thread throws
    return "no further thread can be started; use fewer --threads, or raise the limits on processes and memory (ulimit "
           "-u, -v)";
  }
  return error.what();
}

/// Where an exception can go no further: thrown in a destructor, or in a thread that catches none. Lack of memory ends
/// the program in order all the same: what it was writing is still beside the old file, under another name.
[[noreturn]] void on_terminate() {
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      std::fputs(kOutOfMemory, stderr);
      _exit(kFailure);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "lfm-cuda: internal error: %s\n", error.what());
    } catch (...) {
    }
  }
  std::abort();
}

/// What was printed may still be on its way to a full disk or a closed pipe.
int checked_output(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  print_error("standard output: can't be written; is the disk full, or its reader gone?");
  return code == kSuccess ? kFailure : code;
}

std::string version_text() {
  const std::string mpi = mpi_version();
  return fmt::format("lfm-cuda {}\nCUDA: {}\nMPI: {}\nNCCL: {}", LFM_VERSION, built_with_cuda() ? "yes" : "no",
                     mpi.empty() ? "no" : mpi, built_with_nccl() ? "yes" : "no");
}

/// Gives closed standard descriptors a place that can't be written to, lest a file opened later be taken for standard
/// output.
void occupy_standard_descriptors() {
  for (int descriptor = open("/dev/null", O_RDONLY); descriptor >= 0; descriptor = open("/dev/null", O_RDONLY)) {
    if (descriptor <= STDERR_FILENO) continue;
    close(descriptor);
    return;
  }
}

int parse(CLI::App& app, int argc, char** argv) {
  const bool is_told_elsewhere = launched_rank() > 0;  // by the first of the processes that mpirun started
  try {
    app.parse(argc, argv);
    return kSuccess;
  } catch (const CLI::Success& help_or_version) {
    return is_told_elsewhere ? kSuccess : app.exit(help_or_version);
  } catch (const CLI::RuntimeError& reported) {
    return reported.get_exit_code();
  } catch (const CLI::ParseError& error) {
    if (is_told_elsewhere) return kSuccess;  // and its exit code becomes mpirun's
    print_error(error.what());
    for (const std::string& hint : dash_hints(app, {argv + 1, argv + argc})) tell(stderr, "{}\n", printable(hint));
    std::string command = app.get_name();
    for (const CLI::App* used : app.get_subcommands()) command += " " + used->get_name();
    tell(stderr, "'{} --help' shows the options.\n", command);
    return kUsage;
  }
}

}  // namespace

ExitCode report_error(const std::exception& error, const std::string& process) {
  const auto* own = dynamic_cast<const Error*>(&error);
  try {
    if (dynamic_cast<const std::bad_alloc*>(&error)) throw std::bad_alloc();
    print_error(fmt::format("{}{}{}", process, process.empty() ? "" : ": ", message_of(error)));
  } catch (const std::bad_alloc&) {  // there may not even be memory for a message
    std::fputs(kOutOfMemory, stderr);
  }
  return own ? exit_code(own->code()) : kFailure;
}

ExitCode do_each(const std::vector<std::function<void()>>& steps) {
  ExitCode first = kSuccess;
  for (const auto& step : steps) {
    try {
      step();
    } catch (const Error& error) {
      const ExitCode code = report_error(error);
      if (first == kSuccess) first = code;
    }
  }
  return first;
}

int run_command(int argc, char** argv) {
  CLI::App app{"Tells real photos from AI-generated and manipulated ones (LFM: local focus mechanism).", "lfm-cuda"};
  app.set_version_flag("--version", version_text);
  app.footer(kMainFooter);
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  add_detect_command(app);
  add_evaluate_command(app);
  add_explain_command(app);
  add_train_command(app);
  add_convert_command(app);
  add_info_command(app);
  add_serve_command(app);
  add_doctor_command(app);
  add_bench_command(app);

  if (argc == 1) {
    tell(stderr, "{}", app.help());
    return kUsage;
  }
  if (const std::string unknown = unknown_command(app, argv[1]); !unknown.empty()) {
    print_error(unknown);
    tell(stderr, "'{} --help' shows the commands.\n", app.get_name());
    return kUsage;
  }
  return parse(app, argc, argv);
}

}  // namespace lfm

int main(int argc, char** argv) {
  lfm::occupy_standard_descriptors();
  std::set_terminate(lfm::on_terminate);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other, reported by the command that writes
  int code = lfm::kFailure;
  try {
    code = lfm::run_command(argc, argv);
  } catch (const std::exception& error) {
    code = lfm::report_error(error);
  }
  return lfm::checked_output(code);
}
