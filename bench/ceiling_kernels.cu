// One launch of each does 10 ms of one kind of work at the most; what comes before and after its loop is a thousandth
// of it.
#include "bench/ceiling_kernels.h"
#include "kernels/launch.h"
#include "kernels/tensor_core.cuh"

namespace lfm::bench::inline LFM_TARGET {

namespace {

using namespace kernels;  // their vocabulary

// copy_floats: thread t of a block copies 16 bytes at t, t + 256, t + 512 and t + 768: full lines, four loads under way
// before the first store.
constexpr int kCopyThreads = 256, kCopies = 4;

__global__ void __launch_bounds__(kCopyThreads) copy_kernel(float* __restrict__ to, const float* __restrict__ from) {
  const std::size_t first = 4 * (static_cast<std::size_t>(blockIdx.x) * kCopyThreads * kCopies + threadIdx.x);
  float4 values[kCopies];
  UNROLL
  for (int i = 0; i < kCopies; ++i) values[i] = load4(from + first + 4 * kCopyThreads * i);
  UNROLL
  for (int i = 0; i < kCopies; ++i) store4(to + first + 4 * kCopyThreads * i, values[i]);
}

// multiply_add: 16 sums a thread, each of which waits for itself alone, so that four warps a scheduler never leave it
// without work.
constexpr int kSums = 16, kSteps = 8, kFmaThreads = 256;

__global__ void __launch_bounds__(kFmaThreads)
    multiply_add_kernel(float* __restrict__ out, const float* __restrict__ factors, int rounds) {
  const float a = factors[threadIdx.x], b = factors[kFmaThreads + threadIdx.x];
  float sums[kSums];
  UNROLL
  for (int i = 0; i < kSums; ++i) sums[i] = a * static_cast<float>(i);
  ROLLED
  for (int round = 0; round < rounds; ++round) {
    UNROLL
    for (int step = 0; step < kSteps; ++step) {
      UNROLL
      for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * a + b;  // |a| < 1: they stay small
    }
  }
  float total = 0;
  UNROLL
  for (int i = 0; i < kSums; ++i) total += sums[i];
  out[static_cast<std::size_t>(blockIdx.x) * kFmaThreads + threadIdx.x] = total;
}

// multiply_fragments: a warp's 4 x 8 tiles, as in conv2x2_tensor, whose fragments lie in registers from the first to
// the last round.
constexpr int kTilesM = 4, kTilesN = 8, kMmaThreads = 128;

template <typename T>
__global__ void __launch_bounds__(kMmaThreads)
    multiply_fragments_kernel(float* __restrict__ out, const std::uint32_t* __restrict__ fragments, int rounds) {
  std::uint32_t a[kTilesM][4], b[kTilesN][2];
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    UNROLL
    for (int i = 0; i < 4; ++i) a[m][i] = fragments[(threadIdx.x + kMmaThreads * (4 * m + i)) % 1024];
  }
  UNROLL
  for (int n = 0; n < kTilesN; ++n) {
    UNROLL
    for (int i = 0; i < 2; ++i) b[n][i] = fragments[(threadIdx.x + kMmaThreads * (2 * n + i) + 64) % 1024];
  }
  float sums[kTilesM][kTilesN][4] = {};
  ROLLED
  for (int round = 0; round < rounds; ++round) {
    UNROLL
    for (int m = 0; m < kTilesM; ++m) {
      UNROLL
      for (int n = 0; n < kTilesN; ++n) mma<T>(sums[m][n], a[m], b[n][0], b[n][1]);
    }
  }
  float total = 0;
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    UNROLL
    for (int n = 0; n < kTilesN; ++n) {
      UNROLL
      for (int i = 0; i < 4; ++i) total += sums[m][n][i];
    }
  }
  out[static_cast<std::size_t>(blockIdx.x) * kMmaThreads + threadIdx.x] = total;
}

}  // namespace

void copy_floats(float* to, const float* from, std::size_t count, kernels::Stream stream) {
  constexpr int of_a_block = 4 * kCopyThreads * kCopies;
  require(count % of_a_block == 0, "copy_floats: the count must be a multiple of 4096");
  launch({.kernel = "copy", .blocks = {blocks_for(count, of_a_block)}, .threads = kCopyThreads, .synchronises = false},
         stream, copy_kernel, to, from);
}

void multiply_add(float* out, const float* factors, int blocks, int rounds, kernels::Stream stream) {
  launch({.kernel = "multiply_add",
          .blocks = {static_cast<unsigned>(blocks)},
          .threads = kFmaThreads,
          .synchronises = false},
         stream, multiply_add_kernel, out, factors, rounds);
}

double multiply_add_operations(int blocks, int rounds) { return 2.0 * kSums * kSteps * kFmaThreads * blocks * rounds; }

template <typename T>
void multiply_fragments(float* out, const T* fragments, int blocks, int rounds, kernels::Stream stream) {
  launch({.kernel = "multiply_fragments", .blocks = {static_cast<unsigned>(blocks)}, .threads = kMmaThreads}, stream,
         multiply_fragments_kernel<T>, out, reinterpret_cast<const std::uint32_t*>(fragments), rounds);
}

template <typename T>
double multiply_fragments_operations(int blocks, int rounds) {
  constexpr double depth = 8 * kPerWord<T>;  // of an mma: 32 bytes
  return 2.0 * 16 * 8 * depth * kTilesM * kTilesN * (kMmaThreads / 32) * blocks * rounds;
}

#define LFM_OF(T)                                                                   \
  template void multiply_fragments<T>(float*, const T*, int, int, kernels::Stream); \
  template double multiply_fragments_operations<T>(int, int)
LFM_OF(Half);
LFM_OF(Bfloat16);
LFM_OF(Tf32);
#undef LFM_OF

}  // namespace lfm::bench::inline LFM_TARGET
