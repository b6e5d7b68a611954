// Names that file systems take.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace lfm {

/// The name, or its beginning: at most `longest` bytes, not cut within a UTF-8 character.
std::string shortened(std::string name, std::size_t longest);

/// How long a file's name may be in this folder, in bytes.
std::size_t longest_name(const std::filesystem::path& folder);

/// stem + ending, or where that is longer than `longest` bytes, the stem's beginning, a hash of all of it, and the
/// ending: names that differ only behind their beginnings stay different.
std::string fitting_name(const std::string& stem, const std::string& ending, std::size_t longest);

}  // namespace lfm
