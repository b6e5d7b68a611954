// The one line that follows the work on standard error, where that is a terminal: drawn over itself, never wrapped,
// without escape sequences.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace lfm {

/// Columns of the terminal behind a descriptor: what it says, else $COLUMNS, else 80.
std::size_t terminal_columns(int descriptor);

/// "[####    ]": `width` characters between the brackets.
std::string bar(std::size_t width, std::size_t done, std::size_t all);

class TerminalLine {
 public:
  /// Hidden, where standard error is no terminal, and on one that can't go back to the beginning of a line (TERM=dumb),
  /// it shows nothing.
  explicit TerminalLine(bool hidden);
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;
  ~TerminalLine() { clear(); }

  /// Whether it is time to draw: at most ten times a second.
  bool due();
  /// The first of the texts, from the fullest to the barest, that the terminal has the columns for; else the beginning
  /// of the last. Texts are ASCII.
  void show(const std::vector<std::string>& texts);
  /// Takes the line away, before other text is printed.
  void clear();

 private:
  bool visible_;
  std::size_t drawn_ = 0;  ///< columns
  std::chrono::steady_clock::time_point next_draw_;
};

}  // namespace lfm
