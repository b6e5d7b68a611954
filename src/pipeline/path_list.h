// A list of paths on a descriptor, as people's tools write it: one a line, ended as Unix, Windows or old Macs do, or
// separated by NUL bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

namespace lfm {

enum class ListSeparator {
  line,  ///< one path a line
  nul,   ///< a NUL byte after each path, as find -print0 writes: names may hold line ends
};

struct ListedPath {
  std::string path;
  std::string error = {};  ///< non-empty: this entry can't be a path, and why; `path` is then for messages
};

/// Read as it comes, without ever blocking where cancel() could not end it.
///
/// With one path a line, an entry is taken as it stands where there is such a file; else without a byte-order mark and
/// the blanks and the carriage return around it. Empty lines are passed over.
class PathList {
 public:
  PathList(int descriptor, ListSeparator separator) : descriptor_(descriptor), separator_(separator) {}
  /// Nothing at the end or after cancel(). Throws Error{input}, once, where what follows can't be used: a failed read,
  /// an entry too long to be a path, UTF-16, a picture or other binary data instead of a list, or the other separator
  /// than the one asked for.
  std::optional<ListedPath> next();
  bool starved() const { return starved_; }
  /// May be called from a signal handler.
  void cancel() { cancelled_ = true; }

 private:
  std::optional<std::string> next_entry();
  bool fill();
  bool wait_until_readable();
  bool enough_to_judge() const;
  void judge_beginning();
  [[noreturn]] void give_up(const std::string& why);

  int descriptor_;
  ListSeparator separator_;
  char end_of_entry_ = '\n';
  bool judged_ = false;
  std::string buffer_;
  std::size_t searched_ = 0;  ///< the first bytes of the buffer, known to hold no end of an entry
  std::size_t entries_ = 0;
  bool ended_ = false;
  std::atomic<bool> starved_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace lfm
