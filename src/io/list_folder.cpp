#include "src/io/list_folder.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

namespace lfm {

FolderListing list_folder(const std::filesystem::path& folder) {
  FolderListing listing;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  if (entries) {
    errno = 0;  // readdir() tells its end from an error by nothing else
    while (const dirent* entry = readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") listing.names.emplace_back(name);
      errno = 0;
    }
  }
  listing.error = std::error_code(errno, std::generic_category());
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

}  // namespace lfm
