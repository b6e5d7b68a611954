// The two inner loops of the resize, plain and vectorised; both give the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lfm {

inline constexpr int kWeightBits = 32 - 8 - 2;  ///< fraction bits of a weight: Pillow's PRECISION_BITS

/// Bytes behind a source row that horizontal kernels may read, and behind a result that any kernel may
/// overwrite.
inline constexpr std::size_t kRowPadding = 64;

/// For each output sample i the source window [first[i], first[i] + count[i]) and its weights.
struct ResizeFilter {
  std::vector<int> first;
  std::vector<int> count;
  int max_count = 0;
  /// weights[i*stride + t]; stride is a multiple of 4, weights past count[i] are 0; four more at the end may
  /// be read.
  std::vector<std::int32_t> weights;
  std::size_t stride = 0;
};

struct ResizeKernels {
  /// out[3*i + c] = round(sum over t of weight[i][t] * row[3*(first[i] + t) + c]) for all i of the filter.
  void (*horizontal)(const std::uint8_t* row, const ResizeFilter& filter, std::uint8_t* out);
  /// out[j] = round(sum over t < count of weights[t] * rows[t][j]) for j < size. Rows are readable up to
  /// kRowPadding past size.
  void (*vertical)(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::size_t size,
                   std::uint8_t* out);
};

/// For every set of vector instructions that this machine runs, the best first; the plain loops last.
std::vector<ResizeKernels> all_resize_kernels();
const ResizeKernels& fast_resize_kernels();  ///< the first of them

}  // namespace lfm
