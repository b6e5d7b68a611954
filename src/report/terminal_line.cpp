#include "src/report/terminal_line.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "src/report/terminal.h"

namespace lfm {
namespace {

bool can_redraw(int descriptor) {
  const char* kind = std::getenv("TERM");
  return isatty(descriptor) == 1 && (kind == nullptr || std::string_view(kind) != "dumb");
}

}  // namespace

std::size_t terminal_columns(int descriptor) {
  constexpr std::size_t usual = 80;
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  if (columns == nullptr) return usual;
  std::size_t number = 0;
  const std::string_view text = columns;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && number > 0 ? number : usual;
}

std::string bar(std::size_t width, std::size_t done, std::size_t all) {
  const std::size_t filled = all == 0 ? 0 : std::min(width, width * done / all);
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, ' '));
}

TerminalLine::TerminalLine(bool hidden) : visible_(!hidden && can_redraw(STDERR_FILENO)) {}

bool TerminalLine::due() {
  if (!visible_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_draw_) return false;
  next_draw_ = now + std::chrono::milliseconds(100);
  return true;
}

void TerminalLine::show(const std::vector<std::string>& texts) {
  if (!visible_ || texts.empty()) return;
  const std::size_t room = terminal_columns(STDERR_FILENO) - 1;  // a full line would take the cursor to the next
  const auto fitting = std::ranges::find_if(texts, [&](const std::string& text) { return text.size() <= room; });
  const std::string line = (fitting == texts.end() ? texts.back() : *fitting).substr(0, room);
  const std::size_t before = std::min(drawn_, room);
  tell(stderr, "\r{}{}", line, std::string(before - std::min(before, line.size()), ' '));
  drawn_ = line.size();
}

void TerminalLine::clear() {
  if (drawn_ == 0) return;
  const std::size_t room = terminal_columns(STDERR_FILENO) - 1;
  tell(stderr, "\r{}\r", std::string(std::min(drawn_, room), ' '));
  drawn_ = 0;
}

}  // namespace lfm
