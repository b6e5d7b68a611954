// What a folder holds.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace lfm {

struct FolderListing {
  std::vector<std::string> names;  ///< sorted by their bytes; "." and ".." are left out
  std::error_code error;           ///< why the folder can't be read, or not to its end: `names` is what was read
};

/// Throws std::bad_alloc alone. (libstdc++ 12's directory_iterator ends the program where there is no memory.)
FolderListing list_folder(const std::filesystem::path& folder);

}  // namespace lfm
