// The sub-datasets of test folders, as the paper's tables count them (docs/METHOD.md, section 7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lfm {

/// A row of the table: one generator's fakes and the reals that go with them.
struct Subset {
  std::string test_set;
  std::string name;
  bool operator==(const Subset&) const = default;
};

struct LabelledFile {
  std::filesystem::path path;
  std::uint8_t label = 0;    ///< 1 = fake
  std::uint32_t subset = 0;  ///< index into TestData::subsets
};

struct TestData {
  std::vector<Subset> subsets;
  std::vector<LabelledFile> files;    ///< root after root as given, within each by name
  std::size_t ignored = 0;            ///< other files in 0_real and 1_fake
  std::vector<std::string> warnings;  ///< of what makes figures mean something else (data/hygiene.h)
};

/// Finds every 0_real and 1_fake below the roots. A root is a test set and the folders in it are its sub-datasets, each
/// with whatever folders of classes lie between them and 0_real or beneath it; a root that holds 0_real itself is its
/// own sub-dataset. A folder named like one of the paper's test sets, on the way down or up from the root, is a test
/// set wherever it lies. Throws Error{input} for a root without images.
TestData find_subsets(const std::vector<std::filesystem::path>& roots);

/// Whether the paper scores this test set as it is instead of resized (docs/METHOD.md, section 7).
bool is_unresized_in_paper(std::string_view test_set);

}  // namespace lfm
