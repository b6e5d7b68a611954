// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "lfm/error.h"

namespace lfm {

/// Owns the mapping; movable, and the bytes stay where they are. An empty file maps to no bytes. The file must not be
/// truncated in place while it is mapped; whatever this project writes is replaced by rename, which leaves mappings
/// whole.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws Error{code} naming the file and the cause.
  MappedFile(const std::filesystem::path& path, ErrorCode code);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace lfm
