#include "src/report/npy.h"

#include <fmt/core.h>

#include <bit>
#include <limits>
#include <string>
#include <vector>

namespace lfm {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

/// Always of the same size, so that it can be completed once the number of rows is known.
std::string header(std::size_t rows, std::size_t columns) {
  constexpr std::size_t size = 128;
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(size - 10);
  text += '\0';
  text += fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  text.resize(size - 1, ' ');
  return text + '\n';
}

}  // namespace

NpyWriter::NpyWriter(const std::filesystem::path& path, std::size_t columns) : file_(path), columns_(columns) {
  file_.write(header(0, columns_));
}

void NpyWriter::write_row(std::span<const float> row) {
  file_.write(std::as_bytes(row));
  ++rows_;
}

void NpyWriter::write_missing_row() {
  write_row(std::vector<float>(columns_, std::numeric_limits<float>::quiet_NaN()));
}

void NpyWriter::commit() {
  file_.rewrite_start(header(rows_, columns_));
  file_.commit();
}

}  // namespace lfm
