// The paths behind a command line: files, folders at any depth, and "-" for a list on a descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/pipeline/path_list.h"

namespace lfm {

/// Walks the inputs lazily: memory is that of the folders on the way down, each read as a whole to be put in order.
/// Their hidden entries are passed over (is_hidden_entry). Links to folders are followed; below one input no folder is
/// visited twice, so circles end.
class PathSource : public InputSource {
 public:
  /// "-" among the inputs stands for the paths listed on `list_descriptor`; they may be folders too.
  explicit PathSource(std::vector<std::filesystem::path> inputs, int list_descriptor = 0,
                      ListSeparator separator = ListSeparator::line);

  std::optional<Input> next() override;
  bool starved() const override { return list_.starved(); }
  /// May be called from a signal handler: it stores to lock-free atomics alone.
  void cancel() override {
    cancelled_ = true;
    list_.cancel();
  }

 private:
  /// Entries of a folder that are still to come, in order.
  struct Folder {
    std::deque<std::filesystem::path> entries;
  };
  /// A folder is entered and gives nothing by itself, unless it can't be read.
  std::optional<Input> visit(const std::filesystem::path& path, bool from_folder);
  std::optional<Input> enter(const std::filesystem::path& path);

  std::atomic<bool> cancelled_ = false;
  std::deque<std::filesystem::path> inputs_;
  bool reading_list_ = false;
  PathList list_;
  std::vector<Folder> folders_;  ///< from the outermost in
  /// Device and inode of the folders entered below an input.
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;
};

/// How many paths the inputs give, by walking them; nothing where a list makes that unknown. `visit`, where there is
/// one, is shown each that is known.
std::optional<std::size_t> count_paths(const std::vector<std::filesystem::path>& inputs,
                                       const std::function<void(const Input&)>& visit = {});

}  // namespace lfm
