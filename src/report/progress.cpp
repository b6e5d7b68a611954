#include "src/report/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

namespace lfm {

std::string clock_time(double seconds) {
  const long whole = static_cast<long>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

Progress::Progress(std::optional<std::size_t> total, bool hidden) : total_(total), line_(hidden) {}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::step(bool is_image) {
  ++done_;
  if (is_image) ++images_;
  if (line_.due()) draw();
}

void Progress::draw() {
  const double elapsed = std::max(seconds(), 1e-3);
  const std::string rate = fmt::format("{:.1f} images/s", static_cast<double>(images_) / elapsed);
  if (!total_ || *total_ == 0) {
    line_.show(
        {fmt::format("{} images  {}", images_, rate), fmt::format("{} images", images_), fmt::format("{}", images_)});
    return;
  }
  const std::size_t all = std::max(*total_, done_);  // files may have been added since they were counted
  const std::string count = fmt::format("{}/{}", done_, all);
  const std::string left = clock_time(elapsed * static_cast<double>(all - done_) / static_cast<double>(done_));
  line_.show({fmt::format("{} {}  {}  {} left", bar(24, done_, all), count, rate, left),
              fmt::format("{} {}  {} left", bar(10, done_, all), count, left), fmt::format("{}  {} left", count, left),
              count});
}

}  // namespace lfm
