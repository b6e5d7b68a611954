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

struct ProductOperands {
  Matrix a, b;
};

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

/// The sums of two rows and 32 columns: cut off as mma's are.
template <typename T>
void multiply_rows(const simt::Product& p) {
  constexpr int kChunk = kPerChunk<T>, kDepth = 2 * kChunk;
  const auto decode = [](float(&to)[kDepth], const Matrix& m, int row) {
    for (int chunk = 0; chunk < 2; ++chunk) {
      std::array<T, kChunk> elements;
      std::memcpy(elements.data(), m.chunk(row, chunk), sizeof elements);
      for (int i = 0; i < kChunk; ++i) to[chunk * kChunk + i] = to_float(elements[static_cast<std::size_t>(i)]);
    }
  };
  const int g = p.thread % kWarp / 4, t = p.thread % 4;
  float rows[2][kDepth];
  for (int i = 0; i < 2; ++i) decode(rows[i], p.a, p.thread / kWarp * 16 + 8 * i + g);
  for (int column = 0; column < kProductColumns / 4; ++column) {
    float weights[kDepth];
    decode(weights, p.b, column / 2 * 8 + 2 * t + column % 2);
    for (int i = 0; i < 2; ++i) {
      float& sum = p.sums[column / 2 * 4 + 2 * i + column % 2];
      double exact = static_cast<double>(sum);
      for (int k = 0; k < kDepth; ++k) exact += static_cast<double>(rows[i][k] * weights[k]);
      sum = truncated(exact);
    }
  }
}

template <typename T>
void multiply_async(float (&c)[kProductColumns / 2], const Matrix& a, const Matrix& b,
                    const Site& site = Site::current()) {
  ProductOperands own{a, b};
  simt::warp_collective(
      "multiply_async",
      [](void* const* operands, std::uint32_t, const Site& where) {
        const auto of = [&](int lane) { return *static_cast<const ProductOperands*>(operands[lane]); };
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
  simt::issue_product({multiply_rows<T>, c, a, b, thread_index() % kWarpgroup}, kProductRows, kProductColumns, site);
}

}  // namespace lfm::kernels::inline LFM_TARGET
