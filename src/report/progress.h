// A progress bar on standard error, where that is a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "src/report/terminal_line.h"

namespace lfm {

/// 75 as "1:15", 3675 as "1:01:15".
std::string clock_time(double seconds);

class Progress {
 public:
  /// total: how many steps there will be, where that is known. Hidden, or not on a terminal, it prints nothing.
  Progress(std::optional<std::size_t> total, bool hidden);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One step done; images: of them scored or failed. Draws at most ten times a second.
  void step(bool is_image);
  /// Takes the bar away, before other text is printed; the next step draws it again.
  void clear() { line_.clear(); }

  std::size_t images() const { return images_; }
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  void draw();

  std::optional<std::size_t> total_;
  TerminalLine line_;
  std::size_t done_ = 0;
  std::size_t images_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace lfm
