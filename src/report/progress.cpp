#include "src/report/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "src/report/terminal.h"

namespace lfm {

std::string clock_time(double seconds) {
  const long whole = static_cast<long>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

Progress::Progress(std::optional<std::size_t> total, bool hidden)
    : total_(total), visible_(!hidden && isatty(STDERR_FILENO) == 1) {}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::step(bool is_image) {
  ++done_;
  if (is_image) ++images_;
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  draw();
}

void Progress::draw() {
  const double elapsed = std::max(seconds(), 1e-3);
  const double rate = static_cast<double>(images_) / elapsed;
  std::string line;
  if (total_ && *total_ > 0) {
    constexpr std::size_t width = 24;
    const std::size_t all = std::max(*total_, done_);  // files may have been added since they were counted
    const std::size_t filled = width * done_ / all;
    const double left = elapsed * static_cast<double>(all - done_) / static_cast<double>(done_);
    line = fmt::format("[{}{}] {}/{}  {:.1f} images/s  {} left", std::string(filled, '#'), std::string(width - filled, ' '),
                       done_, all, rate, clock_time(left));
  } else {
    line = fmt::format("{} images  {:.1f} images/s", images_, rate);
  }
  tell(stderr, "\r{}\x1b[K", line);
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  tell(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace lfm
