// The paths behind a command line: files, folders at any depth, and "-" for a list on a descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lfm/detector.h"

namespace lfm {

/// Lines of a file descriptor, read without ever blocking where cancel() could not end it.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  /// Nothing at the end or after cancel(). Throws Error{input} for a failed read and for a line too long to be a path.
  std::optional<std::string> next();
  bool starved() const { return starved_; }
  void cancel() { cancelled_ = true; }

 private:
  bool wait_until_readable();

  int descriptor_;
  std::string buffer_;
  std::size_t searched_ = 0;  ///< the first bytes of the buffer, known to hold no line end
  bool ended_ = false;
  std::atomic<bool> starved_ = false;
  std::atomic<bool> cancelled_ = false;
};

/// Walks the inputs lazily: memory is that of the folders on the way down, each read as a whole to be put in order. Their
/// hidden entries are passed over (is_hidden_entry). Links to folders are followed; below one input no folder is visited
/// twice, so circles end.
class PathSource : public InputSource {
 public:
  /// "-" among the inputs stands for the paths listed on `list_descriptor`, one a line; they may be folders too.
  explicit PathSource(std::vector<std::filesystem::path> inputs, int list_descriptor = 0);

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
  LineReader list_;
  std::vector<Folder> folders_;  ///< from the outermost in
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;  ///< device and inode of the folders entered below an input
};

/// How many paths the inputs give, by walking them; nothing where a list makes that unknown.
std::optional<std::size_t> count_paths(const std::vector<std::filesystem::path>& inputs);

}  // namespace lfm
