// Where a report goes: standard output, a file that appears whole or not at all, or a device or pipe named as a file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "src/io/atomic_file.h"

namespace lfm {

/// The descriptor that a path stands for: "-" and an empty one standard output, /dev/stdout, /dev/stderr, /dev/fd/N and
/// /proc/self/fd/N what they name. What is written there goes on from where the descriptor stands.
std::optional<int> descriptor_of(const std::filesystem::path& path);

/// The ending that chooses a format, in small letters: ".csv"; empty where there is none.
std::string format_ending(const std::filesystem::path& path);

/// Each write reaches the destination before it returns, so a reader sees records as they come. Errors are
/// Error{output} and name the destination; a closed pipe is one of them.
class Output {
 public:
  /// An empty path, or "-", is standard output.
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

/// All of a text.
void write_output(const std::filesystem::path& path, std::string_view text);

}  // namespace lfm
