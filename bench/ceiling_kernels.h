// Kernels that do one thing as fast as a GPU can: what bench/ceilings.cpp measures it by.
#pragma once

#include <cstddef>

#include "kernels/target.h"

namespace lfm::bench::inline LFM_TARGET {

/// to [count] = from [count]. Aligned to 16 bytes, count a multiple of 4096.
void copy_floats(float* to, const float* from, std::size_t count, kernels::Stream stream);

/// Fused multiply-adds of registers, no memory in the way. factors [512] below 1, out [256 blocks].
void multiply_add(float* out, const float* factors, int blocks, int rounds, kernels::Stream stream);

/// Matrix products of registers by mma.sync, the instruction that this project's kernels use; T is Half, Bfloat16 or
/// Tf32. fragments [1024] words of T, out [128 blocks].
template <typename T>
void multiply_fragments(float* out, const T* fragments, int blocks, int rounds, kernels::Stream stream);

/// What those two do, two for each multiply-add.
double multiply_add_operations(int blocks, int rounds);
template <typename T>
double multiply_fragments_operations(int blocks, int rounds);

}  // namespace lfm::bench::inline LFM_TARGET
