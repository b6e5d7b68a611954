// What kernels/warpgroup.cuh means on the emulated device. Only warpgroup.cuh includes this.
#pragma once

#include <array>

#include "kernels/simt/async_proxy.h"

namespace lfm::kernels::inline LFM_TARGET {

using simt::Barrier;
using simt::Matrix;

inline void init_barrier(Barrier& barrier, const Site& site = Site::current()) { simt::init_barrier(barrier, site); }
inline void expect_bytes(Barrier& barrier, unsigned bytes, const Site& site = Site::current()) {
  simt::expect_bytes(barrier, bytes, site);
}
inline void wait_barrier(Barrier& barrier, unsigned parity, const Site& site = Site::current()) {
  simt::wait_barrier(barrier, parity, site);
}
inline void copy_bulk(Chunk* shared, const void* global, unsigned bytes, Barrier& barrier,
                      const Site& site = Site::current()) {
  simt::copy_bulk(shared, global, bytes, barrier, site);
}
inline void fence_async_proxy() { simt::fence_async_proxy(); }

inline Matrix matrix(const Chunk* first, int of_chunks, int of_rows) {
  return {reinterpret_cast<const std::byte*>(first), of_chunks, of_rows};
}
inline Matrix operator+(const Matrix& m, int chunks) { return {m.first + 16 * chunks, m.of_chunks, m.of_rows}; }

inline void begin_products(const Site& site = Site::current()) {
  simt::warp_collective(
      "begin_products", [](void* const*, std::uint32_t, const Site&) {}, kAllLanes, nullptr, site);
  simt::begin_products();
}
inline void commit_products() { simt::commit_products(); }
template <int kPending, typename... Sums>
void wait_products(Sums&...) {
  simt::wait_products(kPending);
}

/// kChunks chunks, of which chunk_of(i) is the address, as numbers: gathered first, for the host's vectors.
template <typename T, int kChunks, typename ChunkOf>
void decode_chunks(float* to, const ChunkOf& chunk_of) {
  constexpr int kElements = kChunks * kPerChunk<T>;
  T elements[kElements];
  for (int i = 0; i < kChunks; ++i) std::memcpy(&elements[i * kPerChunk<T>], chunk_of(i), sizeof(Chunk));
  for (int i = 0; i < kElements; ++i) to[i] = to_float(elements[i]);
}

/// A thread's sums, of two rows and a quarter of the columns: cut off as mma's are.
template <typename T, int kColumns>
void multiply_rows(const simt::Product& p) {
  constexpr int kDepth = 2 * kPerChunk<T>;
  const int g = p.thread % kWarp / 4, t = p.thread % 4;
  float rows[2][kDepth];
  for (int i = 0; i < 2; ++i) {
    if (p.registers) {
      for (int half = 0; half < 2; ++half) {
        if (p.registers[2 * half + i] != p.words[i][4 * half + t])
          simt::fail("registers that a product reads were changed before it was waited for", Site::current());
      }
      decode_chunks<T, 2>(rows[i], [&](int chunk) { return &p.words[i][4 * chunk]; });
    } else {
      const int row = p.thread / kWarp * 16 + 8 * i + g;
      decode_chunks<T, 2>(rows[i], [&](int chunk) { return p.a.chunk(row, chunk); });
    }
  }
  // All columns side by side, for the host's vectors.
  constexpr int kOwn = kColumns / 4;
  float columns[kOwn][kDepth], weights[kDepth][kOwn];
  decode_chunks<T, 2 * kOwn>(columns[0], [&](int i) {
    const int column = i / 2, row = column / 2 * 8 + 2 * t + column % 2;
    return p.b.chunk(row, i % 2);
  });
  for (int column = 0; column < kOwn; ++column) {
    for (int k = 0; k < kDepth; ++k) weights[k][column] = columns[column][k];
  }
  for (int i = 0; i < 2; ++i) {
    const auto sum_of = [&](int column) -> float& { return p.sums[column / 2 * 4 + 2 * i + column % 2]; };
    double exact[kOwn];
    for (int column = 0; column < kOwn; ++column) exact[column] = static_cast<double>(sum_of(column));
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < kOwn; ++column)
        exact[column] += static_cast<double>(rows[i][k] * weights[k][column]);
    }
    for (int column = 0; column < kOwn; ++column) sum_of(column) = truncated(exact[column]);
  }
}

/// All lanes of a warp, and nobody else, name the same matrices.
inline void meet(const Matrix& a, const Matrix& b, const Site& site) {
  struct Operands {
    Matrix a, b;
  } own{a, b};
  simt::warp_collective(
      "multiply_async",
      [](void* const* operands, std::uint32_t, const Site& where) {
        const auto of = [&](int lane) { return *static_cast<const Operands*>(operands[lane]); };
        const auto same = [](const Matrix& m, const Matrix& n) {
          return m.first == n.first && m.of_chunks == n.of_chunks && m.of_rows == n.of_rows;
        };
        for (int lane = 1; lane < simt::kWarp; ++lane) {
          if (!same(of(lane).a, of(0).a) || !same(of(lane).b, of(0).b)) {
            simt::fail("the lanes of a warp name different matrices", where);
          }
        }
      },
      kAllLanes, &own, site);
}

template <typename T>
void multiply_async(float (&c)[kProductColumns / 2], const Matrix& a, const Matrix& b,
                    const Site& site = Site::current()) {
  meet(a, b, site);
  simt::issue_product({multiply_rows<T, kProductColumns>, c, a, b, thread_index() % kWarpgroup}, kProductRows,
                      kProductColumns, site);
}

// What a lane brings of a product whose left side is in registers.
struct RegisterOperands {
  const std::uint32_t* own;
  std::uint32_t (*rows)[8];
};

template <typename T>
void multiply_async(float (&c)[kProductColumns / 4], const std::uint32_t (&a)[4], const Matrix& b,
                    const Site& site = Site::current()) {
  meet(b, b, site);
  simt::Product product{multiply_rows<T, kProductColumns / 2>, c, {}, b, thread_index() % kWarpgroup, a, {}};
  RegisterOperands own{a, product.words};
  simt::warp_collective(
      "multiply_async",
      [](void* const* operands, std::uint32_t, const Site&) {
        const auto of = [&](int lane) { return *static_cast<const RegisterOperands*>(operands[lane]); };
        for (int lane = 0; lane < simt::kWarp; ++lane) {
          for (int i = 0; i < 16; ++i) {  // two rows of two halves of four words
            const int row = i / 8, half = i / 4 % 2, t = i % 4;
            of(lane).rows[row][4 * half + t] = of(lane / 4 * 4 + t).own[2 * half + row];
          }
        }
      },
      kAllLanes, &own, site);
  simt::issue_product(product, kProductRows, kProductColumns / 2, site);
}

}  // namespace lfm::kernels::inline LFM_TARGET
