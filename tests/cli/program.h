// Runs lfm-cuda as a user would: arguments, standard input, and what comes out of it.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/model/temporary_folder.h"

namespace lfm::test {

struct ProgramResult {
  int exit_code = -1;  ///< 128 + signal where it was killed
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::string input = {};                     ///< standard input
  std::filesystem::path out = {};             ///< standard output goes there instead of into the result
  int out_descriptor = -1;                    ///< or there
  std::vector<std::string> environment = {};  ///< NAME=VALUE; LFM_MODEL is unset otherwise
};

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline ProgramResult run_program(const std::string& program, std::vector<std::string> arguments,
                                 const ProgramOptions& options = {}) {
  const TemporaryFolder folder;
  std::ofstream(folder / "in", std::ios::binary) << options.input;
  const std::string in = (folder / "in").string(), err = (folder / "err").string();
  const std::string out = options.out.empty() ? (folder / "out").string() : options.out.string();

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, in.c_str(), O_RDONLY, 0);
  if (options.out_descriptor >= 0) {
    posix_spawn_file_actions_adddup2(&files, options.out_descriptor, 1);
  } else {
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  }
  posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);

  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv, envp;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = options.environment;
  for (const char* kept : {"PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"}) {
    if (const char* value = std::getenv(kept)) environment.push_back(std::string(kept) + "=" + value);
  }
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);

  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &files, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("can't run " + program);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) throw std::runtime_error("lost " + program);
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (options.out.empty() && options.out_descriptor < 0) result.out = read_text(out);
  result.err = read_text(err);
  return result;
}

}  // namespace lfm::test
