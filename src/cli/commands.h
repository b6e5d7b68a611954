// The subcommands of lfm-cuda, one file each. A command registers itself on the app; its callback throws lfm::Error,
// which main prints and turns into the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "lfm/error.h"

namespace lfm {

/// Exit codes of every command (documented in lfm-cuda(1)).
enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,        ///< some inputs failed, the results could not be written, or memory ran out
  kUsage = 2,          ///< the command line is wrong
  kUnusable = 3,       ///< no usable device or model
  kInterrupted = 130,  ///< Ctrl-C ended the command in order: training was saved, images under way were scored
};

/// Prints what was thrown, after the name of the process it happened to, if it needs one; returns the exit code that
/// goes with it.
ExitCode report_error(const std::exception& error, const std::string& process = "");

/// Ends a command that has already reported what failed.
[[noreturn]] inline void end_with(ExitCode code) { throw CLI::RuntimeError(code); }

/// Does each of these, whatever becomes of those before it, and prints what they throw; the exit code of the first that
/// failed. Files that can be written are, and so is the table, though another file can't.
ExitCode do_each(const std::vector<std::function<void()>>& steps);

void add_detect_command(CLI::App& app);
void add_evaluate_command(CLI::App& app);
void add_explain_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_convert_command(CLI::App& app);
void add_info_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_serve_command(CLI::App& app);

}  // namespace lfm
