#include "src/train/status_line.h"

#include <fmt/core.h>

#include "src/report/progress.h"

namespace lfm {

std::vector<std::string> status_texts(const TrainProgress& p) {
  const std::string epoch = fmt::format("epoch {}/{}", p.epoch, p.epochs),
                    step = fmt::format("step {}/{}", p.step, p.steps);
  const std::string loss = fmt::format("loss {:.4f}", p.loss), left = clock_time(p.seconds_left) + " left";
  return {fmt::format("{} {} {}  {}  {:.1f} images/s  {}", epoch, bar(20, p.step, p.steps), step, loss,
                      p.images_per_second, left),
          fmt::format("{} {} {}  {}  {}", epoch, bar(20, p.step, p.steps), step, loss, left),
          fmt::format("{} {} {}  {}", epoch, bar(10, p.step, p.steps), step, left),
          fmt::format("{}  {}  {}", step, loss, left),
          fmt::format("{}  {}", step, left),
          step};
}

void StatusLine::show(const TrainProgress& progress) {
  if (line_.due()) line_.show(status_texts(progress));
}

}  // namespace lfm
