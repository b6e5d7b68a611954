// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace lfm {

/// What becomes of a symbolic link at the path.
enum class Links {
  follow,   ///< what it points to is written: the user chose the path
  replace,  ///< it gives way to the file: the name came from an input, and must not lead out of the folder
};

/// Where the links at a path lead, also where nothing is there yet; a link again for a ring of links.
std::filesystem::path followed(std::filesystem::path path);

/// Writes beside `path` under a temporary name; commit() makes the data durable and renames it into place, so that
/// readers and crashes see the old file or the new one. Destroyed without commit, it removes the temporary file and
/// leaves the old one. All errors are Error{output} and name the file, the cause and the remedy.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path, Links links = Links::follow);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Overwrites the first bytes of what was written: a header that counts what follows it.
  void rewrite_start(std::string_view text);
  /// Call once, last.
  void commit();

 private:
  [[noreturn]] void fail(const char* action, int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

/// One buffer, atomically.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           Links links = Links::follow);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace lfm
