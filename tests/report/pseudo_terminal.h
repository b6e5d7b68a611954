// Standard error as a terminal, for as long as one of these lives.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace lfm::test {

class PseudoTerminal {
 public:
  PseudoTerminal() : screen_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (screen_ < 0 || grantpt(screen_) != 0 || unlockpt(screen_) != 0)
      throw std::runtime_error("no pseudo-terminal is to be had");
    const int terminal = open(ptsname(screen_), O_RDWR | O_NOCTTY);
    std::fflush(stderr);
    stderr_ = dup(STDERR_FILENO);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
  }
  ~PseudoTerminal() {
    std::fflush(stderr);
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
    close(screen_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  /// What was written since the last call. It arrives some time after it was written, so it is followed by a mark and
  /// read up to that.
  std::string written() {
    std::fflush(stderr);
    constexpr char mark = '\0';
    if (write(STDERR_FILENO, &mark, 1) != 1) throw std::runtime_error("the pseudo-terminal takes nothing");
    std::string text;
    for (char c; read(screen_, &c, 1) == 1 && c != mark;) text += c;
    return text;
  }

 private:
  int screen_;
  int stderr_ = -1;
};

}  // namespace lfm::test
