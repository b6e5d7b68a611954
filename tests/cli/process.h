// A program that runs beside the test: to be signalled, and waited for.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/catch.h"

extern char** environ;

namespace lfm::test {

class Process {
 public:
  /// command: a program, looked up in PATH, and its arguments. environment: NAME=VALUE, before the test's own. What it
  /// prints goes to `output`.
  Process(std::vector<std::string> command, const std::filesystem::path& output,
          std::vector<std::string> environment = {})
      : output_(output) {
    std::vector<char*> argv, envp;
    for (std::string& argument : command) argv.push_back(argument.data());
    argv.push_back(nullptr);
    for (std::string& variable : environment) envp.push_back(variable.data());
    for (char** variable = environ; *variable; ++variable) envp.push_back(*variable);
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    CHECK_MESSAGE(posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) == 0, command[0]);
    posix_spawn_file_actions_destroy(&actions);
  }
  Process(Process&& other) noexcept
      : output_(std::move(other.output_)),
        pid_(other.pid_),
        status_(other.status_),
        ended_(std::exchange(other.ended_, true)) {}
  ~Process() {
    if (ended_) return;
    kill(pid_, SIGKILL);
    wait();
  }

  pid_t id() const { return pid_; }
  void signal(int number) const { kill(pid_, number); }

  bool ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }

  /// Waits so long at most.
  template <typename Duration>
  bool ended_within(Duration patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!ended() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return ended();
  }

  /// Exit code, or -1 if a signal ended it.
  int wait() {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }

  /// Of a process that has ended; 0 if it did so by itself.
  int ending_signal() const { return WIFSIGNALED(status_) ? WTERMSIG(status_) : 0; }

  std::string text() const {
    std::ifstream in(output_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::filesystem::path output_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace lfm::test
