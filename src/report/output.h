// Where a report goes: standard output, a file that appears whole or not at all, or a device or pipe named as a file.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "src/io/atomic_file.h"

namespace lfm {

/// Each write reaches the destination before it returns, so a reader sees records as they come. Errors are Error{output} and
/// name the destination; a closed pipe is one of them.
class Output {
 public:
  /// An empty path is standard output.
  explicit Output(const std::filesystem::path& path);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  void write(std::string_view text);
  /// Call once, last: puts a file into place.
  void commit();
  bool is_terminal() const;

 private:
  std::filesystem::path path_;
  std::optional<AtomicFile> file_;
  int descriptor_ = -1;  ///< where there is no file
};

}  // namespace lfm
