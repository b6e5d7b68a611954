#include "src/eval/subsets.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "src/data/dataset.h"
#include "src/data/hygiene.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kTestSets = {"ForenSynths", "GANGen-Detection", "DiffusionForensics",
                                                       "UniversalFakeDetect", "Diffusion1kStep"};

std::vector<std::string> names_on_the_way(const fs::path& path) {
  std::vector<std::string> names;
  for (const fs::path& part : path.relative_path()) {
    if (!part.empty()) names.push_back(part.string());
  }
  return names;
}

/// root: as the test set is called where the paper knows none of the folders; way: from the file system's root down to
/// `root`, then the class folders above 0_real.
Subset name_subset(const std::string& root, const std::vector<std::string>& way, std::size_t below_root) {
  for (std::size_t i = way.size(); i-- > 0;) {
    if (std::ranges::find(kTestSets, way[i]) == kTestSets.end()) continue;
    return {way[i], i + 1 < way.size() ? way[i + 1] : way[i]};
  }
  return {root, below_root < way.size() ? way[below_root] : root};
}

}  // namespace

bool is_unresized_in_paper(std::string_view test_set) { return test_set == "GANGen-Detection"; }

TestData find_subsets(const std::vector<fs::path>& roots) {
  std::multiset<std::string> root_names;
  for (const fs::path& root : roots) root_names.insert(fs::weakly_canonical(root).filename().string());

  TestData data;
  std::set<fs::path> seen;  // of overlapping roots an image counts once
  for (const fs::path& root : roots) {
    const Dataset found = scan_dataset({root});
    const fs::path place = fs::canonical(root);
    const std::string root_name = place.filename().string();
    const std::string shown = root_names.count(root_name) > 1 || root_name.empty() ? root.string() : root_name;
    std::vector<Subset> subset_of_group;
    for (const std::string& group : found.groups) {
      std::vector<std::string> way = names_on_the_way(place);
      const std::size_t below_root = way.size();
      // A root that holds 0_real itself is its own group.
      if (group != root_name) {
        for (const fs::path& part : fs::path(group)) way.push_back(part.string());
      }
      subset_of_group.push_back(name_subset(shown, way, below_root));
    }
    for (const Sample& sample : found.samples) {
      if (!seen.insert(place / sample.path.lexically_relative(root)).second) continue;
      const Subset& subset = subset_of_group[sample.group];
      auto known = std::ranges::find(data.subsets, subset);
      if (known == data.subsets.end()) known = data.subsets.insert(known, subset);
      data.files.push_back({sample.path, sample.label, static_cast<std::uint32_t>(known - data.subsets.begin())});
    }
    data.ignored += found.roots[0].ignored;
    for (std::string& line : layout_warnings(found.roots)) data.warnings.push_back(std::move(line));
  }
  std::vector<LabelledPicture> pictures;
  for (const LabelledFile& file : data.files) pictures.push_back({file.path, file.label});
  for (std::string& line : data_warnings(pictures, DataUse::evaluation)) data.warnings.push_back(std::move(line));
  return data;
}

}  // namespace lfm
