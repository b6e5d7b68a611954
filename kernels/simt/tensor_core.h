// What kernels/tensor_core.cuh means on the emulated device. Only tensor_core.cuh includes this.
#pragma once

#include <array>
#include <cmath>
#include <string>

namespace lfm::kernels::inline LFM_TARGET {

template <typename T>
std::uint32_t encode(const float* v) {
  std::array<T, kPerWord<T>> elements;
  for (int i = 0; i < kPerWord<T>; ++i) elements[i] = round_to<T>(v[i]);
  return std::bit_cast<std::uint32_t>(elements);
}

template <typename T>
void decode(float* v, std::uint32_t word) {
  const auto elements = std::bit_cast<std::array<T, kPerWord<T>>>(word);
  for (int i = 0; i < kPerWord<T>; ++i) v[i] = to_float(elements[static_cast<std::size_t>(i)]);
}

// What a lane brings to an mma: its words of a (rows g, g+8, then the next half of K) and b, and its four sums.
struct MmaOperands {
  float* c;
  std::array<std::uint32_t, 4> a;
  std::array<std::uint32_t, 2> b;
};

// The sum of a double, cut off to FP32 toward zero, as tensor cores do it: the product of one mma loses at most one
// unit in the last place.
inline float truncated(double sum) {
  const float nearest = static_cast<float>(sum);
  const bool beyond = std::abs(static_cast<double>(nearest)) > std::abs(sum);  // half of the time: no branch
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(nearest) - static_cast<std::uint32_t>(beyond));
}

/// kHalves: of K, 4 words each.
template <typename T, int kHalves>
void multiply_fragments(void* const* operands, std::uint32_t, const Site&) {
  constexpr int kDepth = 4 * kHalves * kPerWord<T>;
  float a[16][kDepth], b[kDepth][8];
  double c[16][8];
  const auto decode = [](std::uint32_t word) {
    const auto elements = std::bit_cast<std::array<T, kPerWord<T>>>(word);
    std::array<float, kPerWord<T>> floats;
    for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = to_float(elements[i]);
    return floats;
  };
  const auto operands_of = [&](int lane) -> const MmaOperands& {
    return *static_cast<const MmaOperands*>(operands[lane]);
  };
  for (int lane = 0; lane < simt::kWarp; ++lane) {
    const MmaOperands& own = operands_of(lane);
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < kHalves; ++half) {
      const auto upper = decode(own.a[2 * half]), lower = decode(own.a[2 * half + 1]), column = decode(own.b[half]);
      for (int i = 0; i < kPerWord<T>; ++i) {
        const int k = (t + 4 * half) * kPerWord<T> + i;
        a[g][k] = upper[i];
        a[g + 8][k] = lower[i];
        b[k][g] = column[i];
      }
    }
    for (int i = 0; i < 4; ++i) c[g + i / 2 * 8][2 * t + i % 2] = own.c[i];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) c[row][column] += static_cast<double>(a[row][k] * b[k][column]);
    }
  }
  for (int lane = 0; lane < simt::kWarp; ++lane) {
    for (int i = 0; i < 4; ++i) operands_of(lane).c[i] = truncated(c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
  }
}

template <typename T>
void mma(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
         const Site& site = Site::current()) {
  MmaOperands own{c, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  simt::warp_collective("mma", multiply_fragments<T, 2>, kAllLanes, &own, site);
}

inline void mma_k8(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b,
                   const Site& site = Site::current()) {
  MmaOperands own{c, {a0, a1}, {b}};
  simt::warp_collective("mma_k8", multiply_fragments<Half, 1>, kAllLanes, &own, site);
}

template <typename Chunks>
const Chunk* chunk_at(Chunks& chunks, unsigned bytes, const Site& site = Site::current()) {
  if (bytes % sizeof(Chunk) != 0) simt::fail("an offset of " + std::to_string(bytes) + " bytes, inside a chunk", site);
  return &chunks[{bytes / sizeof(Chunk), site}];
}

struct LdmatrixOperands {
  const Chunk* row;
  std::uint32_t* r;
};

template <int kMatrices, bool kTransposed>
void distribute_rows(void* const* operands, std::uint32_t, const Site&) {
  const auto row = [&](int matrix, int i) {
    return static_cast<const LdmatrixOperands*>(operands[8 * matrix + i])->row;
  };
  for (int lane = 0; lane < simt::kWarp; ++lane) {
    const int g = lane / 4, t = lane % 4;
    std::uint32_t* r = static_cast<const LdmatrixOperands*>(operands[lane])->r;
    for (int matrix = 0; matrix < kMatrices; ++matrix) {
      if constexpr (kTransposed) {
        const auto element = [&](int i) { return std::bit_cast<std::array<std::uint16_t, 8>>(*row(matrix, i))[g]; };
        r[matrix] = static_cast<std::uint32_t>(element(2 * t)) | static_cast<std::uint32_t>(element(2 * t + 1)) << 16;
      } else {
        r[matrix] = row(matrix, g)->word[t];
      }
    }
  }
}

template <bool kTransposed, int kMatrices>
void load_matrices(std::uint32_t (&r)[kMatrices], const Chunk* row, const Site& site) {
  static_assert(kMatrices == 1 || kMatrices == 2 || kMatrices == 4);
  if (own_lane() < 8 * kMatrices) simt::announce_matrix_row(row, site);
  LdmatrixOperands own{row, r};
  simt::warp_collective("ldmatrix", distribute_rows<kMatrices, kTransposed>, kAllLanes, &own, site);
}

template <int kMatrices>
void ldmatrix(std::uint32_t (&r)[kMatrices], const Chunk* row, const Site& site = Site::current()) {
  load_matrices<false>(r, row, site);
}
template <int kMatrices>
void ldmatrix_transposed(std::uint32_t (&r)[kMatrices], const Chunk* row, const Site& site = Site::current()) {
  load_matrices<true>(r, row, site);
}

#define UNROLL_COPIES UNROLL

inline void copy_async(Chunk* shared, const void* global, bool valid, const Site& site = Site::current()) {
  simt::copy_async(shared, global, valid, site);
}
inline void copy_async_cached(Chunk* shared, const void* global, bool valid, const Site& site = Site::current()) {
  simt::copy_async(shared, global, valid, site);
}
inline void commit_copies() { simt::commit_copies(); }
template <int kPending>
void wait_copies() {
  simt::wait_copies(kPending);
}

inline Chunk load_chunk(const void* p, const Site& site = Site::current()) {
  Chunk v;
  simt::load_vector(&v, p, sizeof v, site);
  return v;
}
inline void store_chunk(void* p, const Chunk& v, const Site& site = Site::current()) {
  simt::store_vector(p, &v, sizeof v, site);
}
inline void store_words(void* p, std::uint32_t first, std::uint32_t second, const Site& site = Site::current()) {
  const std::uint32_t words[] = {first, second};
  simt::store_vector(p, words, sizeof words, site);
}

}  // namespace lfm::kernels::inline LFM_TARGET
