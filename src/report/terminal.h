// Text from files and file names, made safe to print.
#pragma once

#include <string>
#include <string_view>

namespace lfm {

/// UTF-8 with everything that could steer a terminal or forge a line shown as \n, \x1b or \u202e: control characters (C0, DEL, C1),
/// line and paragraph separators, bidirectional overrides; bytes that are no UTF-8 as \xNN.
std::string printable(std::string_view text);

}  // namespace lfm
