#include "src/data/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "lfm/error.h"
#include "src/image/file.h"
#include "src/io/list_folder.h"
#include "src/model/label.h"

namespace lfm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRealFolder = "0_real";
constexpr std::string_view kFakeFolder = "1_fake";

constexpr std::array<std::string_view, 7> kSplits = {"train",      "training", "val",    "valid",
                                                     "validation", "test",     "testing"};

/// "Real", "1-fake", "AI", …: words and digits that people name such folders by.
bool looks_like_a_label(const std::string& name) {
  constexpr std::array<std::string_view, 14> words = {"real",      "reals",     "fake",  "fakes",   "nature",
                                                      "ai",        "generated", "photo", "photos",  "genuine",
                                                      "synthetic", "0",         "1",     "deepfake"};
  std::string word;
  for (const unsigned char letter : name) {
    if (std::isalpha(letter)) word += static_cast<char>(std::tolower(letter));
  }
  if (word.empty()) word = name;
  return std::ranges::find(words, word) != words.end();
}

struct FoundFile {
  std::string relative;  ///< to the root, '/'-separated
  std::string group;
  std::uint8_t label = 0;
};

/// One walk below one root.
class Walk {
 public:
  Walk(const fs::path& root, const std::vector<std::string>& classes, Unlabelled unlabelled)
      : classes_(classes), unlabelled_(unlabelled) {
    fs::path name = fs::canonical(root).filename();
    root_name_ = name.empty() ? root.string() : name.string();
    visit(root, "", std::nullopt);
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.relative < b.relative; });
  }

  std::vector<FoundFile> files;
  std::size_t ignored = 0;
  FolderLayout layout;
  std::size_t images = 0;             ///< before the filter
  std::set<std::string> class_names;  ///< every class folder that holds images
  std::set<std::string> matched_classes;

 private:
  void visit(const fs::path& folder, const std::string& relative, std::optional<std::uint8_t> label) {
    const fs::path real_place = fs::canonical(folder);
    if (std::find(chain_.begin(), chain_.end(), real_place) != chain_.end()) return;  // a link back to a folder above
    chain_.push_back(real_place);
    const FolderListing listing = list_folder(folder);
    if (listing.error) throw fs::filesystem_error("", folder, listing.error);
    for (const std::string& name : listing.names) {
      if (is_hidden_entry(name)) continue;
      const fs::path entry = folder / name;
      const std::string inner = relative.empty() ? name : relative + '/' + name;
      std::error_code missing;  // a broken link is neither file nor folder
      const fs::file_status status = fs::status(entry, missing);
      if (fs::is_directory(status)) {
        if (label) {
          if (name == kRealFolder || name == kFakeFolder) layout.nested.push_back(inner);
          visit(entry, inner, label);
        } else if (name == kRealFolder || name == kFakeFolder) {
          visit(entry, inner, name == kFakeFolder ? kFake : kReal);
        } else {
          class_folders_.push_back(name);
          visit(entry, inner, label);
          class_folders_.pop_back();
        }
      } else if (label) {
        if (fs::is_regular_file(status) && counts_as_picture(entry)) {
          add_file(inner, *label);
        } else {
          ++ignored;
        }
      } else if (fs::is_regular_file(status) && counts_as_picture(entry)) {
        if (unlabelled_ == Unlabelled::take) {
          add_file(inner, kUnlabelled);
        } else {
          note_unlabelled(inner);
        }
      }
    }
    chain_.pop_back();
  }

  void note_unlabelled(const std::string& relative) {
    std::string folder;
    for (const std::string& name : class_folders_) {
      folder += (folder.empty() ? "" : "/") + name;
      if (!looks_like_a_label(name)) continue;
      if (std::ranges::find(layout.alike, folder) == layout.alike.end()) layout.alike.push_back(folder);
      return;
    }
    if (layout.unlabelled++ == 0) layout.first_unlabelled = relative;
  }

  void add_file(const std::string& relative, std::uint8_t label) {
    ++images;
    for (const std::string& folder : class_folders_) {
      const bool is_known = std::ranges::find(layout.splits, folder) != layout.splits.end();
      if (!is_known && std::ranges::find(kSplits, folder) != kSplits.end()) layout.splits.push_back(folder);
    }
    const std::vector<std::string>& folders = class_folders_.empty() ? std::vector{root_name_} : class_folders_;
    class_names.insert(folders.begin(), folders.end());
    bool wanted = classes_.empty();
    for (const std::string& folder : folders) {
      if (std::find(classes_.begin(), classes_.end(), folder) == classes_.end()) continue;
      matched_classes.insert(folder);
      wanted = true;
    }
    if (wanted) files.push_back({relative, fmt::format("{}", fmt::join(folders, "/")), label});
  }

  const std::vector<std::string>& classes_;
  Unlabelled unlabelled_;
  std::string root_name_;
  std::vector<fs::path> chain_;             ///< real places of the folders from the root to here
  std::vector<std::string> class_folders_;  ///< names of those above 0_real or 1_fake
};

Walk walk_root(const fs::path& root, const std::vector<std::string>& classes, Unlabelled unlabelled) {
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    throw Error(ErrorCode::input, fmt::format("{}: not a folder; give the folder that holds {} and {}, at any depth",
                                              root.string(), kRealFolder, kFakeFolder));
  }
  try {
    Walk walk(root, classes, unlabelled);
    if (walk.images > 0) return walk;
    if (unlabelled == Unlabelled::take) {
      throw Error(ErrorCode::input, fmt::format("{}: no image in this folder, nor in any below it", root.string()));
    }
    throw Error(ErrorCode::input,
                fmt::format("{}: no image in any folder named {} or {} ({} other files there); expected "
                            "{}/[class/...]/{}/* and {}/*{}{}",
                            root.string(), kRealFolder, kFakeFolder, walk.ignored, root.string(), kRealFolder,
                            kFakeFolder, layout_hint(walk.layout).empty() ? "" : "; it ", layout_hint(walk.layout)));
  } catch (const fs::filesystem_error& cause) {
    throw Error(ErrorCode::input, fmt::format("{}: can't be read ({}); check its permissions", cause.path1().string(),
                                              cause.code().message()));
  }
}

void require_known(const std::vector<std::string>& classes, const std::set<std::string>& matched,
                   const std::set<std::string>& known) {
  for (const std::string& name : classes) {
    if (matched.contains(name)) continue;
    throw Error(ErrorCode::input,
                fmt::format("class '{}' is in none of the data folders; they hold: {}", name, fmt::join(known, " ")));
  }
}

}  // namespace

Dataset scan_dataset(const std::vector<fs::path>& roots, const std::vector<std::string>& classes,
                     Unlabelled unlabelled) {
  if (roots.empty()) throw Error(ErrorCode::input, "no data folder was given");
  Dataset dataset;
  std::set<std::string> matched, known;
  std::set<std::string> seen;  // overlapping roots, or one given twice: an image counts once
  std::map<std::string, std::uint32_t> group_index;
  std::string identity;
  for (const fs::path& root : roots) {
    const Walk walk = walk_root(root, classes, unlabelled);
    matched.insert(walk.matched_classes.begin(), walk.matched_classes.end());
    known.insert(walk.class_names.begin(), walk.class_names.end());
    const fs::path place = fs::canonical(root);
    RootSummary summary{root, 0, 0, 0, walk.ignored, walk.layout};
    for (const FoundFile& file : walk.files) {
      if (!seen.insert((place / file.relative).string()).second) continue;
      const auto [group, is_new] =
          group_index.try_emplace(file.group, static_cast<std::uint32_t>(dataset.groups.size()));
      if (is_new) dataset.groups.push_back(file.group);
      dataset.samples.push_back({root / file.relative, file.label, group->second});
      ++(file.label == kUnlabelled ? summary.unlabelled : file.label == kFake ? summary.fakes : summary.reals);
      identity += file.relative;
      identity += '\0';
    }
    dataset.reals += summary.reals;
    dataset.fakes += summary.fakes;
    dataset.unlabelled += summary.unlabelled;
    dataset.roots.push_back(std::move(summary));
  }
  require_known(classes, matched, known);
  dataset.fingerprint = XXH3_64bits(identity.data(), identity.size());  // the label is part of the name
  return dataset;
}

std::string layout_hint(const FolderLayout& layout) {
  std::vector<std::string> parts;
  const auto some = [](const std::vector<std::string>& names) {
    return fmt::format("{}{}",
                       fmt::join(names.begin(), names.begin() + std::min<std::ptrdiff_t>(std::ssize(names), 4), ", "),
                       names.size() > 4 ? ", …" : "");
  };
  if (!layout.alike.empty()) {
    parts.push_back(fmt::format(
        "holds pictures in {}, which are left out: rename folders of photographs {} and folders of generated "
        "pictures {}",
        some(layout.alike), kRealFolder, kFakeFolder));
  }
  if (layout.unlabelled > 0) {
    parts.push_back(fmt::format(
        "holds {} {} outside {} and {}, the first {}, left out: only what lies in or beneath these folders is used",
        layout.unlabelled, layout.unlabelled == 1 ? "picture" : "pictures", kRealFolder, kFakeFolder,
        layout.first_unlabelled));
  }
  if (!layout.nested.empty()) {
    parts.push_back(fmt::format(
        "holds {}, a label inside the other, where the outer one counts: keep {} and {} side by side, classes above "
        "or beneath them",
        some(layout.nested), kRealFolder, kFakeFolder));
  }
  if (layout.splits.size() > 1) {
    parts.push_back(fmt::format(
        "holds {}, all of which are used together: give one of them, and pictures to train on and to test on apart",
        some(layout.splits)));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

void require_both_labels(const Dataset& dataset) {
  if (dataset.reals > 0 && dataset.fakes > 0) return;
  std::string found;
  for (const RootSummary& root : dataset.roots) {
    const std::string hint = layout_hint(root.layout);
    found += fmt::format("{}{}: {} reals, {} fakes{}{}", found.empty() ? "" : "; ", root.path.string(), root.reals,
                         root.fakes, hint.empty() ? "" : "; it ", hint);
  }
  throw Error(ErrorCode::input, fmt::format("the data set has no {}: {}. Both are needed, in folders named {} and {}",
                                            dataset.fakes == 0 ? "fakes" : "reals", found, kRealFolder, kFakeFolder));
}

}  // namespace lfm
