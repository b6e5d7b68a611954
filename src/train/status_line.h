// The line that follows a training run on a terminal: bar, loss, images/s, time left.
#pragma once

#include <chrono>
#include <string>

#include "src/train/trainer.h"

namespace lfm {

class StatusLine {
 public:
  /// Hidden, or where standard error is no terminal, it shows nothing.
  explicit StatusLine(bool hidden);
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// Draws at most ten times a second.
  void show(const TrainProgress& progress);
  /// Takes the line away, before other text is printed.
  void clear();

 private:
  bool visible_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_draw_;
};

/// "epoch 2/50 [####      ] step 120/5600  loss 0.4213  17.3 images/s  1:02:03 left"
std::string status_text(const TrainProgress& progress);

}  // namespace lfm
