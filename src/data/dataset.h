// Folder data sets: ROOT/[class/…]/0_real/* and 1_fake/* at any depth (docs/METHOD.md, section 6), and pictures without
// a label.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lfm {

struct Sample {
  std::filesystem::path path;
  std::uint8_t label = 0;   ///< kReal, kFake or kUnlabelled (src/model/label.h)
  std::uint32_t group = 0;  ///< index into Dataset::groups
};

/// What of a root's folders hints at another layout than the one expected; paths are relative to it.
struct FolderLayout {
  /// Folders of pictures named much like 0_real or 1_fake, outside of those: "real", "AI".
  std::vector<std::string> alike;
  std::vector<std::string> nested;  ///< 0_real and 1_fake inside of one another: the outer counts
  std::size_t unlabelled = 0;       ///< pictures elsewhere
  std::string first_unlabelled;
  std::vector<std::string> splits;  ///< folders named train, val, test, … that hold pictures of their own
};
/// In words, with the layout expected; empty where nothing is suspicious.
std::string layout_hint(const FolderLayout& layout);

/// What one root held.
struct RootSummary {
  std::filesystem::path path;
  std::size_t reals = 0;
  std::size_t fakes = 0;
  std::size_t unlabelled = 0;
  std::size_t ignored = 0;  ///< what else lies in 0_real and 1_fake: no pictures (counts_as_picture), broken links
  FolderLayout layout;
};

struct Dataset {
  /// Root after root as given, within each by relative path, compared byte by byte: the same on every
  /// machine.
  std::vector<Sample> samples;
  /// The class folders above 0_real and 1_fake, joined by '/' ("car", "aligned/nearest"); the root's own name
  /// where there are none. The same group of two roots is one group.
  std::vector<std::string> groups;
  std::vector<RootSummary> roots;
  std::size_t reals = 0;
  std::size_t fakes = 0;
  std::size_t unlabelled = 0;
  /// Changes with every name, label and place in the order, not with where the roots lie: a checkpoint keeps
  /// it, and a run that resumes on other data is told so.
  std::uint64_t fingerprint = 0;
};

/// What becomes of pictures that lie neither below a 0_real nor below a 1_fake.
enum class Unlabelled { leave_out, take };

/// Scans the roots. classes, where not empty, keeps what has a class folder of one of these names (any of the
/// folders above 0_real or 1_fake, or the root itself where there are none). Links to folders are followed,
/// but never round in a circle; hidden entries and files that are no pictures are left out (src/image/file.h).
/// Throws Error{input} for a root that is missing or holds no image, and for a class that is nowhere found.
Dataset scan_dataset(const std::vector<std::filesystem::path>& roots, const std::vector<std::string>& classes = {},
                     Unlabelled unlabelled = Unlabelled::leave_out);

/// Throws Error{input} naming the roots and what was found in them, where reals or fakes are missing.
void require_both_labels(const Dataset& dataset);

}  // namespace lfm
