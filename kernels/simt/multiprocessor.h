// The multiprocessor that runs an emulated grid: known to grid.cpp, and to async_proxy.cpp for what is Hopper's.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/simt/async_groups.h"
#include "kernels/simt/async_proxy.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/grid.h"
#include "kernels/simt/observer.h"
#include "kernels/simt/shared_memory.h"

namespace lfm::simt {

class Turns;  ///< the order of threads

inline std::string name_of(const Site& site) { return fmt::format("{}:{}", site.file_name(), site.line()); }

inline std::string name_of(const Extent& e) { return fmt::format("({}, {}, {})", e.x, e.y, e.z); }

/// What runs while one of these lives is not watched.
class Unobserved {
 public:
  Unobserved() : watching_(std::exchange(observer, nullptr)) {}
  ~Unobserved() { observer = watching_; }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  Observer* watching_;
};

/// Runs the blocks of one grid after the other; one per host thread.
class Multiprocessor {
 public:
  void run(const Grid& grid, void (*thread)(const void*), const void* arguments);

  const Grid& grid() const { return *grid_; }
  SharedMemory& shared() { return shared_; }
  bool at_once();  ///< whether asynchronous work takes place when it is issued
  void copy_async(void* shared, const void* global, std::size_t bytes);
  void commit_copies() { running_->copies.commit(); }
  void wait_copies(std::size_t pending);
  void begin_products() { running_->may_multiply = true; }
  void issue_product(const Product& product, int rows, int columns, const Site& site);
  void commit_products() { running_->products.commit(); }
  void wait_products(std::size_t pending);
  void fence_async_proxy() { ++running_->fences; }
  void init_barrier(Barrier& barrier);
  void copy_bulk(const AsyncCopy& copy, Barrier& barrier, const Site& site);
  void wait_barrier(Barrier& barrier, unsigned parity, const Site& site);
  void sync_block(const Site& site);
  void warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands, const Site& site);

 private:
  enum class State { ready, at_barrier, in_warp_operation, awaiting_bytes, exited };
  struct Thread {
    Position position;
    State state = State::ready;
    Site site;
    // of a warp operation that waits for its other lanes
    const char* name = nullptr;
    WarpOperation operation = nullptr;
    std::uint32_t mask = 0;
    void* operands = nullptr;
    AsyncGroups<AsyncCopy> copies;
    AsyncGroups<Product, true> products;
    bool may_multiply = false;
    std::uint32_t fences = 0;  // between its stores and the async proxy
    // of a phase that it waits for
    Barrier* barrier = nullptr;
    unsigned parity = 0;
  };
  struct BulkCopy {
    AsyncCopy copy;
    Barrier* barrier;
  };

  // Of the lanes of a warp that wait for all others.
  struct Meeting {
    int arrived = 0;
    WarpOperation operation = nullptr;
    std::uint_least32_t line = 0;
  };
  static constexpr std::uint32_t kAllOfWarp = 0xffffffffu;

  void run_block(Turns& turns);
  void run_fibers(Turns& turns);
  int running() const { return static_cast<int>(running_ - threads_.data()); }
  void check_async(const void* p, const Site& site);
  bool has_ended(Barrier& barrier, unsigned parity);
  void require_nothing_under_way() const;
  void fiber_body();
  void release_barrier();
  void wait();
  [[noreturn]] void report_deadlock() const;
  std::string describe(const Thread& thread) const;

  const Grid* grid_ = nullptr;
  void (*thread_)(const void*) = nullptr;
  const void* arguments_ = nullptr;
  SharedMemory shared_;
  FiberPool fibers_;
  std::vector<Thread> threads_;
  std::vector<Meeting> meetings_;      // by warp
  std::vector<BulkCopy> bulk_copies_;  // under way
  Thread* running_ = nullptr;
  int at_barrier_ = 0;
  const Thread* first_at_barrier_ = nullptr;  // where any wait
  int exited_ = 0;
  std::minstd_rand random_;  // when asynchronous work takes place
  std::exception_ptr error_;
};

extern thread_local constinit Multiprocessor* own_multiprocessor;  // null before the first
Multiprocessor& make_multiprocessor();
/// The host thread's.
inline Multiprocessor& multiprocessor() { return own_multiprocessor ? *own_multiprocessor : make_multiprocessor(); }

// Checks of addresses that a kernel names, for the functions of grid.h and async_proxy.h: of any memory; of shared.
void check_vector_access(const void* p, std::size_t bytes, const Site& site);
void check_shared_access(const void* p, std::size_t bytes, const Site& site);
int own_index();  ///< the running thread's in its block

}  // namespace lfm::simt
