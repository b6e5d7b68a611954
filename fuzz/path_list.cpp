// A list of paths on a descriptor, as `detect -` reads it.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "src/pipeline/path_source.h"

namespace {

using namespace lfm::fuzz;

constexpr std::string_view kBetween = " \t\r\n\xef\xbb\xbf";  // around a path on a line of its own

/// Lists stay in the folder the fuzzer was started in: others are large, and change.
bool stays_here(std::string_view list) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool begins = i == 0 || list[i - 1] == '\0' || kBetween.find(list[i - 1]) != std::string_view::npos;
    if (list[i] == '/' && begins) return false;
  }
  return list.find("..") == std::string_view::npos;
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Folders give their members instead of themselves.
bool names_folders(std::string_view list, std::string_view between) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(between), list.size());
    if (end > 0 && is_folder(std::string(list.substr(0, end)))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// Where the entry stands in the list from there on; in an entry with a zero byte that is written as \x00.
std::size_t find_entry(std::string_view list, const lfm::Input& entry, std::size_t from) {
  const std::string& path = entry.path.native();
  if (entry.error.empty()) return list.find(path, from);
  constexpr std::string_view escaped = "\\x00";
  std::size_t found = std::string_view::npos;
  for (std::size_t at = path.find(escaped); at != std::string::npos; at = path.find(escaped, at + 1)) {
    std::string raw = path;
    raw.replace(at, escaped.size(), 1, '\0');
    found = std::min(found, list.find(raw, from));
  }
  return found;
}

void check(std::string_view list, lfm::ListSeparator separator) {
  const int descriptor = memfd_create("list", MFD_CLOEXEC);
  const bool written =
      descriptor >= 0 && write(descriptor, list.data(), list.size()) == static_cast<ssize_t>(list.size());
  demand(written && lseek(descriptor, 0, SEEK_SET) == 0, "a file to read");
  const std::string_view between = separator == lfm::ListSeparator::nul ? std::string_view("\0", 1) : kBetween;
  const bool folders = names_folders(list, between);
  std::size_t at = 0;
  bool refused = false;
  lfm::PathSource source({"-"}, descriptor, separator);
  while (const auto input = source.next()) {
    if (input->from_folder) continue;
    demand(!refused, "nothing follows a refusal");
    refused = input->path == "-" && !input->error.empty();
    if (refused || folders) continue;
    const std::size_t place = find_entry(list, *input, at);
    demand(place != std::string_view::npos, "each entry stands in the list, in order");
    demand(list.substr(at, place - at).find_first_not_of(between) == std::string_view::npos, "no entry is lost");
    at = place + input->path.native().size() - (input->error.empty() ? 0 : 3);
  }
  demand(refused || folders || list.substr(at).find_first_not_of(between) == std::string_view::npos, "nor is the last");
  close(descriptor);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view list = text_of(bytes_of(data, size));
  if (!stays_here(list)) return 0;
  check(list, lfm::ListSeparator::line);
  check(list, lfm::ListSeparator::nul);
  return 0;
}
