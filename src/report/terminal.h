// Text from files and file names, made safe to print.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace lfm {

/// UTF-8 with everything that could steer a terminal or forge a line shown as \n, \x1b or \u202e: control characters
/// (C0, DEL, C1), line and paragraph separators, bidirectional overrides; bytes that are no UTF-8 as \xNN.
std::string printable(std::string_view text);

/// JSON for whoever prints it: bytes in strings that are no UTF-8, which file names may hold and JSON may not, become
/// U+FFFD, and what could steer a terminal (JSON itself only forbids the characters below U+0020) is written as \u009b.
/// indent: spaces a level; -1: all in one line.
std::string json_text(const nlohmann::json& value, int indent = -1);

/// Notices for people. What standard error or standard output doesn't take is lost, and the work that it tells of goes
/// on; main looks at the end whether standard output took everything.
void write_notice(std::FILE* to, std::string_view text);

template <typename... Args>
void tell(std::FILE* to, fmt::format_string<Args...> format, Args&&... args) {
  write_notice(to, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lfm
