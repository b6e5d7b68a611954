#include "kernels/simt/check/source_line.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace lfm::simt {

std::string source_line(const void* pc, const char* file, std::uint32_t line) {
  if (file) return fmt::format("{}:{}", file, line);
  Dl_info program{};
  if (dladdr(pc, &program) == 0) return fmt::format("{}", pc);
  const auto offset = static_cast<const char*>(pc) - static_cast<const char*>(program.dli_fbase) - 1;
  const std::string command = fmt::format("addr2line -e '{}' {:#x} 2>/dev/null", program.dli_fname, offset);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char text[1024] = "";
  if (!pipe || !std::fgets(text, sizeof text, pipe.get()) || text[0] == '?')
    return fmt::format("{}+{:#x}", program.dli_fname, offset);
  std::string found = text;
  return found.substr(0, found.find_first_of(" \n"));
}

}  // namespace lfm::simt
