// NumPy's array file (.npy, version 1.0) of float32 rows, written as they come.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "src/io/atomic_file.h"

namespace lfm {

class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::size_t columns);
  /// row.size() == columns
  void write_row(std::span<const float> row);
  /// A row for what has no values: NaN.
  void write_missing_row();
  /// Call once, last: completes the header and puts the file into place.
  void commit();

 private:
  AtomicFile file_;
  std::size_t columns_;
  std::size_t rows_ = 0;
};

}  // namespace lfm
