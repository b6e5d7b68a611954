// Small copies of what the kernels do with memory, each right in one variant and broken in one way in the
// others.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// transposed [32][32] of matrix [32][32] through a shared tile (conv2x2_transpose_weight).
enum class Transpose {
  right,
  without_barrier,  ///< the tile is read before all of it is there
  without_padding,  ///< rows of 32: a column lies in one bank
  reading_a_gap,    ///< the tile's column 7 is never stored
};
void transpose(Transpose variant, float* transposed, const float* matrix);

/// copy [n] = x [n], in blocks of 64 threads.
enum class Copy {
  right,
  strided,       ///< consecutive threads are 64 floats apart
  one_too_many,  ///< the last thread copies a value beyond the end
  every_block,   ///< all blocks store to the first 64
};
void copy(Copy variant, float* out, const float* x, int n);

/// out [64] = x [64] rotated by one inside each warp, through shared memory and within the warp alone.
enum class Rotation {
  right,        ///< sync_warp between store and load
  with_a_vote,  ///< a vote is no memory barrier
};
void rotate(Rotation variant, float* out, const float* x);

/// out [256] = x [256] backwards, through asynchronous copies to shared memory.
enum class AsyncCopy {
  right,
  without_wait,         ///< read while the copies are under way
  without_barrier,      ///< each thread waits for its own copies alone
  waiting_for_too_few,  ///< the second of two groups may still be under way
  overwritten_early,    ///< the buffer is filled again while other threads read it
};
void copy_backwards(AsyncCopy variant, float* out, const float* x);

/// out [64][16] = x [64][16]: rows of 16 floats through shared memory, 128 bits at a time (first_block's
/// patches).
enum class Rows {
  right,          ///< quarters permuted by the row's number
  wrong_swizzle,  ///< permuted by bits of the row that eight neighbours share
};
void copy_rows(Rows variant, float* out, const float* x);

}  // namespace lfm::kernels::inline LFM_TARGET
