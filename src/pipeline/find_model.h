// Where installed models are looked for; lfm/detector.h's find_model() looks there.
#pragma once

#include <filesystem>
#include <vector>

namespace lfm {

/// Where installed weights may lie, the best place first, whether there is such a folder or not.
std::vector<std::filesystem::path> weight_folders();

}  // namespace lfm
