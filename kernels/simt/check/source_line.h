// Where in the sources an access was written, for people.
#pragma once

#include <cstdint>
#include <string>

namespace lfm::simt {

/// "file:line"; with file null, that of the instruction before pc, asked of addr2line, or the bare address
/// where it is missing.
std::string source_line(const void* pc, const char* file, std::uint32_t line);

}  // namespace lfm::simt
