// What the emulated device does of Hopper's asynchronous instructions, for code inside a kernel (warpgroup.h wraps it):
// products of a warpgroup, bulk copies, the barriers (mbarrier) that count their bytes, and the fence between ordinary
// stores and them. After the PTX ISA, and stricter: a product without wgmma.fence since the last wait, one or a bulk
// copy that looks where a thread copied without a fence since, a block that ends with some under way are Failures.
//
// Products and bulk copies take place when they are issued or as late as a correct kernel allows: at the wait of the
// thread for its products, at the first wait for the barrier's phase. What threads store by plain assignments is not
// known here, so the fence after those is not asked for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simt/grid.h"

namespace lfm::simt {

/// An mbarrier of one arrival, in shared memory.
struct alignas(8) Barrier {
  std::int32_t bytes;  ///< still to arrive
  std::uint8_t initialised;
  std::uint8_t expecting;  ///< this phase's arrival has taken place
  std::uint8_t phases;     ///< ended so far, modulo 2
  std::uint8_t unused;
};

/// In shared memory: eight rows' chunks of 16 bytes side by side; distances in chunks (warpgroup.cuh).
struct Matrix {
  const std::byte* first;
  int of_chunks;
  int of_rows;
  const std::byte* chunk(int row, int chunk) const {
    return first + 16 * (std::ptrdiff_t{chunk} * of_chunks + std::ptrdiff_t{row / 8} * of_rows + row % 8);
  }
};

/// A thread's part of a product.
struct Product {
  void (*multiply)(const Product& product);
  float* sums;
  Matrix a;
  Matrix b;
  int thread;  ///< of the warpgroup
  /// Where a is in registers: the thread's own, which must not change before the wait, and the words of its two rows.
  const std::uint32_t* registers = nullptr;
  std::uint32_t words[2][8] = {};
  void run() const { multiply(*this); }
};

void begin_products();
/// rows, columns: of a, unless it is in registers, and of b, each of two chunks.
void issue_product(const Product& product, int rows, int columns, const Site& site);
void commit_products();
void wait_products(int pending);

void fence_async_proxy();

void init_barrier(Barrier& barrier, const Site& site);
void expect_bytes(Barrier& barrier, unsigned bytes, const Site& site);
void copy_bulk(void* shared, const void* global, unsigned bytes, Barrier& barrier, const Site& site);
void wait_barrier(Barrier& barrier, unsigned parity, const Site& site);

}  // namespace lfm::simt
