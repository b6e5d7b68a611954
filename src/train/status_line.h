// The line that follows a training run on a terminal: bar, loss, images/s, time left.
#pragma once

#include <string>
#include <vector>

#include "src/report/terminal_line.h"
#include "src/train/trainer.h"

namespace lfm {

class StatusLine {
 public:
  /// Hidden, or where standard error is no terminal, it shows nothing.
  explicit StatusLine(bool hidden) : line_(hidden) {}

  /// Draws at most ten times a second.
  void show(const TrainProgress& progress);
  /// Takes the line away, before other text is printed.
  void clear() { line_.clear(); }

 private:
  TerminalLine line_;
};

/// "epoch 2/50 [####      ] step 120/5600  loss 0.4213  17.3 images/s
/// 1:02:03 left", and barer ones for narrower terminals.
std::vector<std::string> status_texts(const TrainProgress& progress);

}  // namespace lfm
