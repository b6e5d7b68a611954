#include "src/train/status_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "src/report/progress.h"
#include "src/report/terminal.h"

namespace lfm {

std::string status_text(const TrainProgress& p) {
  constexpr std::size_t width = 20;
  const std::size_t filled = p.steps == 0 ? 0 : std::min<std::size_t>(width, width * p.step / p.steps);
  return fmt::format("epoch {}/{} [{}{}] step {}/{}  loss {:.4f}  {:.1f} images/s  {} left", p.epoch, p.epochs,
                     std::string(filled, '#'), std::string(width - filled, ' '), p.step, p.steps, p.loss, p.images_per_second,
                     clock_time(p.seconds_left));
}

StatusLine::StatusLine(bool hidden) : visible_(!hidden && isatty(STDERR_FILENO) == 1) {}

void StatusLine::show(const TrainProgress& progress) {
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  tell(stderr, "\r{}\x1b[K", status_text(progress));
  drawn_ = true;
}

void StatusLine::clear() {
  if (!drawn_) return;
  tell(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace lfm
