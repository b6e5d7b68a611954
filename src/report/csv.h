// Cells of CSV files.
#pragma once

#include <string>
#include <string_view>

namespace lfm {

/// Text as an RFC 4180 cell, quoted where it must be. What a spreadsheet would run as a formula gets an apostrophe in
/// front.
std::string csv_text(std::string_view text);

}  // namespace lfm
