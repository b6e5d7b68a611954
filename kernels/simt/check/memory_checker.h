// Sees every load and store that kernels make on the emulated device, and says what hardware would make of them:
//   races          between two barriers two threads touch the same byte, one of them stores, and nothing orders them:
//                  in shared and global memory within a block, and in global memory between blocks, which nothing
//                  orders
//   uninitialised  a load of shared memory that no thread of the block has stored to, or of global memory that nothing
//                  has
//   out of bounds  an access to global memory outside the arrays that the kernel was given
//   sectors        32-byte sectors of global memory that each request of a warp touches
//   bank conflicts wavefronts of shared memory beyond those that the request's width needs
// An asynchronous copy (cp.async) stores when it begins, and again when its thread has waited for it; in between, any
// access to where it goes is a race.
//
// How it sees: the kernels are compiled with the hooks that gcc's -fsanitize=thread puts before every load and store,
// and access_hooks.cpp stands behind them in place of the sanitizer's own library. They also tell of functions entered
// and left. Vector and warp-wide accesses are announced by the wrappers in simt/, so that 128 bits stay one access.
//
// How accesses of lanes become a request: on hardware the lanes of a warp that execute a load together make one
// request. Here lanes run one after the other, so their accesses are matched afterwards. Those are one request that
// share
//   the warp,
//   the instruction: return address of the hook, or file and line of the wrapper, and the calls that led there,
//   the stretch between two meetings of the whole warp: barrier, shuffle, vote,
//   the ordinal: the how-maniest time in this stretch that the lane executed the instruction.
// For loops whose trip counts differ between lanes this is the reconvergence that hardware makes after each iteration;
// where an inner loop's counts differ within an outer loop, it packs iterations closer than hardware would. The kernels
// are compiled so that the compiler neither merges nor vectorises accesses (CMakeLists.txt).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/simt/check/access_log.h"

namespace lfm::simt {

/// Requests of one kind that a kernel made, and their costs (traffic.h): sectors of global, wavefronts of
/// shared memory.
struct Requests {
  std::int64_t count = 0;
  std::int64_t taken = 0;
  std::int64_t least = 0;
  double taken_each() const { return count ? static_cast<double>(taken) / static_cast<double>(count) : 0; }
  std::int64_t beyond_least() const { return taken - least; }
};

struct KernelCounters {
  Requests of[2][2];  ///< [Space][Access]
  const Requests& operator()(Space space, Access kind) const {
    return of[static_cast<int>(space)][static_cast<int>(kind)];
  }
};

enum class FindingKind { race, uninitialised, out_of_bounds };

enum class Contents { written, unwritten };

struct Finding {
  FindingKind kind;
  std::string message;  ///< kernel, block, threads, array and place in it, source lines
};

/// Watches the grids that this host thread runs, for its lifetime; one at a time.
class MemoryChecker final : public Observer {
 public:
  MemoryChecker();
  ~MemoryChecker() override;
  MemoryChecker(const MemoryChecker&) = delete;
  MemoryChecker& operator=(const MemoryChecker&) = delete;

  /// Global memory that kernels may touch from now on. Unwritten: a kernel must store to a byte before one loads it.
  void add_array(const std::string& name, const void* begin, std::size_t bytes, Contents contents = Contents::written);
  void remove_array(const void* begin);

  /// By the kernel's name in its Launch.
  const std::map<std::string, KernelCounters>& counters() const { return counters_; }
  const std::vector<Finding>& findings() const { return findings_; }

  void begin_grid(const Grid& grid) override;
  void begin_block(const Extent& block) override;
  void end_block() override;
  void shared_array(const char* name, const void* begin, std::size_t bytes) override;
  void barrier() override;
  void warp_met(int first_thread, std::uint32_t mask, bool orders_memory) override;
  void access(int thread, Access kind, const void* p, std::size_t bytes, const Site* site,
              const void* instruction) override;
  void copy_begun(int thread, const void* p) override;
  void copies_committed(int thread) override;
  void copies_awaited(int thread, int pending) override;
  void bulk_copy(int thread, const void* to, const void* from, std::size_t bytes, const Site& site) override;
  void enter_function(int thread, const void* caller) override;
  void leave_function(int thread) override;

 private:
  struct Array {
    std::string name;
    std::uintptr_t begin;
    std::size_t bytes;
    // global: 1 + the block that last stored to, loaded from each byte in this grid
    // shared: whether a byte was stored to, how many asynchronous copies to it are under way
    std::vector<std::uint32_t> stored, loaded;
    std::vector<bool> unwritten = {};  // global: bytes without contents; empty where all have some
    bool contains(std::uintptr_t p) const { return p >= begin && p < begin + bytes; }
  };
  struct Copies {  // of one thread
    std::vector<AccessRecord> open;
    std::vector<std::vector<AccessRecord>> groups;  // the oldest first
  };
  Array* find(std::vector<Array>& arrays, std::uintptr_t p);
  std::uint32_t* under_way(std::uintptr_t p);
  void check_shared(Array& array, const AccessRecord& record, int thread);
  void check_other_blocks(Array& array, const AccessRecord& record, int thread);
  void finish_stretch();
  void count_requests(std::size_t first_thread);
  void report(FindingKind kind, const AccessRecord& record, int thread, const std::string& what);
  std::string place_of(std::uintptr_t p) const;

  std::vector<Array> arrays_, shared_;
  std::map<std::string, KernelCounters> counters_;
  std::vector<Finding> findings_;
  std::set<std::pair<FindingKind, std::uint64_t>> reported_;  ///< kind and instruction, in this grid

  Grid grid_;
  Extent block_;
  std::uint32_t block_number_ = 0;
  KernelCounters* kernel_ = nullptr;
  std::vector<ThreadLog> threads_;
  std::vector<Copies> copies_;
  std::vector<std::vector<std::uint64_t>> calls_;  ///< of each thread: a hash of the calls that led to where it is
};

}  // namespace lfm::simt
