// A list of paths on a descriptor, as `detect -` reads it.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "src/pipeline/path_source.h"

namespace {

using namespace lfm::fuzz;

/// Lists stay in the folder the fuzzer was started in: others are large, and change.
bool stays_here(std::string_view list) {
  return !list.starts_with('/') && list.find("\n/") == std::string_view::npos && list.find("..") == std::string_view::npos;
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::vector<std::string> files_of(std::string_view list) {
  std::vector<std::string> lines;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\n'), list.size());
    const std::string line(list.substr(0, end));
    if (!line.empty() && (line.find('\0') != std::string::npos || !is_folder(line))) lines.push_back(line);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view list = text_of(bytes_of(data, size));
  if (!stays_here(list)) return 0;
  const int descriptor = memfd_create("list", MFD_CLOEXEC);
  demand(descriptor >= 0 && write(descriptor, data, size) == static_cast<ssize_t>(size) && lseek(descriptor, 0, SEEK_SET) == 0, "a file to read");
  const std::vector<std::string> expected = files_of(list);
  std::size_t seen = 0;
  bool too_long = false;
  lfm::PathSource source({"-"}, descriptor);
  while (const auto input = source.next()) {
    if (input->from_folder) continue;
    too_long = too_long || (input->path == "-" && !input->error.empty());
    if (too_long) continue;
    demand(seen < expected.size() && input->path.native() == expected[seen], "each line is a path, in order");
    ++seen;
  }
  demand(too_long || seen == expected.size(), "no line is lost");
  close(descriptor);
  return 0;
}
