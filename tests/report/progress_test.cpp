// Progress is for people at a terminal: drawn there alone, and wiped away before anything else is printed.
#include "src/report/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "src/train/status_line.h"
#include "tests/report/pseudo_terminal.h"

namespace lfm::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kWipe = "\r\x1b[K";

TEST(Progress, IsDrawnOnATerminalAndWipedAway) {
  PseudoTerminal terminal;
  Progress progress(4, false);
  progress.step(true);
  const std::string drawn = terminal.written();
  EXPECT_THAT(drawn, StartsWith("\r[######                  ] 1/4 "));
  EXPECT_THAT(drawn, HasSubstr("images/s"));
  progress.clear();
  EXPECT_EQ(terminal.written(), kWipe);
  progress.clear();
  EXPECT_EQ(terminal.written(), "") << "there is nothing left to wipe away";
}

TEST(Progress, CountsImagesWhereTheTotalIsUnknown) {
  PseudoTerminal terminal;
  Progress progress(std::nullopt, false);
  progress.step(true);
  EXPECT_THAT(terminal.written(), StartsWith("\r1 images "));
}

TEST(Progress, HiddenItPrintsNothing) {
  PseudoTerminal terminal;
  Progress progress(4, true);
  progress.step(true);
  progress.clear();
  EXPECT_EQ(terminal.written(), "");
}

TEST(Progress, OfTrainingIsDrawnOnATerminalAndWipedAway) {
  TrainProgress state;
  state.epoch = 2;
  state.epochs = 3;
  state.step = 5;
  state.steps = 10;
  state.loss = 0.25;
  PseudoTerminal terminal;
  StatusLine line(false), hidden(true);
  hidden.show(state);
  EXPECT_EQ(terminal.written(), "");
  line.show(state);
  EXPECT_THAT(terminal.written(), StartsWith("\repoch 2/3 [##########          ] step 5/10  loss 0.2500 "));
  line.clear();
  EXPECT_EQ(terminal.written(), kWipe);
}

TEST(Progress, TimesReadAsOnAClock) {
  EXPECT_EQ(clock_time(0.4), "0:00");
  EXPECT_EQ(clock_time(59.6), "1:00");
  EXPECT_EQ(clock_time(3600 + 2 * 60 + 3), "1:02:03");
}

}  // namespace
}  // namespace lfm::test
