// Progress is for people at a terminal: drawn there alone, and wiped away before anything else is printed.
#include "src/report/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "src/train/status_line.h"
#include "tests/catch.h"
#include "tests/report/pseudo_terminal.h"

namespace lfm::test {
namespace {

/// What takes a line of so many columns away: no escape sequence, which not every terminal knows.
std::string wiped(std::size_t columns) { return "\r" + std::string(columns, ' ') + "\r"; }

void set_columns(unsigned columns) {
  winsize size{};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  REQUIRE(ioctl(STDERR_FILENO, TIOCSWINSZ, &size) == 0);
}

TEST_CASE("Progress.IsDrawnOnATerminalAndWipedAway") {
  PseudoTerminal terminal;
  Progress progress(4, false);
  progress.step(true);
  const std::string drawn = terminal.written();
  CHECK_THAT(drawn, StartsWith("\r[######                  ] 1/4 "));
  CHECK_THAT(drawn, ContainsSubstring("images/s"));
  progress.clear();
  CHECK(terminal.written() == wiped(drawn.size() - 1));
  progress.clear();
  CHECK_MESSAGE(terminal.written() == "", "there is nothing left to wipe away");
}

TEST_CASE("Progress.CountsImagesWhereTheTotalIsUnknown") {
  PseudoTerminal terminal;
  Progress progress(std::nullopt, false);
  progress.step(true);
  CHECK_THAT(terminal.written(), StartsWith("\r1 images "));
}

TEST_CASE("Progress.HiddenItPrintsNothing") {
  PseudoTerminal terminal;
  Progress progress(4, true);
  progress.step(true);
  progress.clear();
  CHECK(terminal.written() == "");
}

TEST_CASE("Progress.OfTrainingIsDrawnOnATerminalAndWipedAway") {
  TrainProgress state;
  state.epoch = 2;
  state.epochs = 3;
  state.step = 5;
  state.steps = 10;
  state.loss = 0.25;
  PseudoTerminal terminal;
  StatusLine line(false), hidden(true);
  hidden.show(state);
  CHECK(terminal.written() == "");
  line.show(state);
  const std::string drawn = terminal.written();
  CHECK_THAT(drawn, StartsWith("\repoch 2/3 [##########          ] step 5/10  loss 0.2500 "));
  line.clear();
  CHECK(terminal.written() == wiped(drawn.size() - 1));
}

TEST_CASE("Progress.NeverWrapsHoweverNarrowTheTerminal") {
  TrainProgress state;
  state.epoch = 12;
  state.epochs = 50;
  state.step = 123456;
  state.steps = 500000;
  state.seconds_left = 12345;
  for (const unsigned columns : {1u, 2u, 9u, 20u, 40u, 60u, 79u, 80u, 200u}) {
    PseudoTerminal terminal;
    set_columns(columns);
    {
      Progress known(123456, false), unknown(std::nullopt, false);
      StatusLine line(false);
      known.step(true);
      known.clear();
      unknown.step(true);
      unknown.clear();
      line.show(state);
    }
    const std::string drawn = terminal.written();
    CHECK_THAT(drawn, !ContainsSubstring("\x1b"));
    std::size_t in_line = 0;
    for (const char c : drawn) {
      in_line = c == '\r' ? 0 : in_line + 1;
      REQUIRE_MESSAGE(in_line < columns, drawn);
    }
    if (columns == 20) {
      CHECK_THAT(drawn, ContainsSubstring("\r1/123456  "));
      CHECK_THAT(drawn, ContainsSubstring("\rstep 123456/500000"));
    }
  }
}

TEST_CASE("Progress.AShorterLineLeavesNothingOfALongerOne") {
  PseudoTerminal terminal;
  set_columns(40);
  TerminalLine line(false);
  line.show({"a long line of text"});
  line.show({"short"});
  CHECK(terminal.written() == "\ra long line of text\rshort" + std::string(14, ' '));
}

TEST_CASE("Progress.ADumbTerminalShowsNothing") {
  PseudoTerminal terminal;
  const char* const kind = std::getenv("TERM");
  const std::string before = kind == nullptr ? "" : kind;
  setenv("TERM", "dumb", 1);
  {
    Progress progress(4, false);
    progress.step(true);
  }
  kind == nullptr ? unsetenv("TERM") : setenv("TERM", before.c_str(), 1);
  CHECK(terminal.written() == "");
}

TEST_CASE("Progress.TimesReadAsOnAClock") {
  CHECK(clock_time(0.4) == "0:00");
  CHECK(clock_time(59.6) == "1:00");
  CHECK(clock_time(3600 + 2 * 60 + 3) == "1:02:03");
}

}  // namespace
}  // namespace lfm::test
