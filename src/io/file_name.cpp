#include "src/io/file_name.h"

#include <fmt/core.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdint>

namespace lfm {

std::string shortened(std::string name, std::size_t longest) {
  if (name.size() <= longest) return name;
  const auto continues = [&](std::size_t at) { return (static_cast<std::uint8_t>(name[at]) & 0xC0) == 0x80; };
  std::size_t end = longest;
  while (end > 0 && longest - end < 3 && continues(end)) --end;
  if (continues(end)) end = longest;  // no UTF-8
  name.resize(end);
  return name;
}

std::size_t longest_name(const std::filesystem::path& folder) {
  constexpr long usual = 255;
  const long longest = pathconf(folder.c_str(), _PC_NAME_MAX);
  return static_cast<std::size_t>(longest > 0 ? longest : usual);
}

std::string fitting_name(const std::string& stem, const std::string& ending, std::size_t longest) {
  if (stem.size() + ending.size() <= longest) return stem + ending;
  const std::string tail = fmt::format("-{:08x}{}", XXH3_64bits(stem.data(), stem.size()) & 0xFFFFFFFF, ending);
  return shortened(stem, longest - std::min(longest, tail.size())) + tail;
}

}  // namespace lfm
