// The emulated device: runs a grid of CUDA threads on the host, block after block, one fiber per thread, and is
// stricter than hardware. A thread that leaves before a barrier others wait at, threads at different barriers, a warp
// operation whose mask is wrong, an index beyond a shared array: each is a Failure that names the kernel, the block,
// the threads, file and line. Threads take turns in an order that tests choose; a correct kernel gives the same bits in
// every order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

#include "lfm/error.h"

namespace lfm::simt {

inline constexpr int kWarp = 32;
inline constexpr int kMaxThreads = 1024;
inline constexpr std::size_t kStaticSharedLimit = 48 * 1024;  // bytes a block may declare, as nvcc allows
inline constexpr std::size_t kSharedLimit = 227 * 1024;       // with its dynamic ones, as sm_90 allows
inline constexpr unsigned kMaxCluster = 8;                    // blocks, as any GPU with clusters allows

struct Extent {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
  constexpr std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

/// A kernel did what a device would not forgive (or worse, would).
class Failure : public Error {
 public:
  explicit Failure(const std::string& message) : Error(ErrorCode::device, message) {}
};

enum class Order { ascending, descending, shuffled };

/// The order in which blocks, and between synchronisations the threads of a block, take turns.
struct Schedule {
  Order order = Order::ascending;
  std::uint64_t seed = 0;  ///< of Order::shuffled
};

/// Sets the schedule of the grids this host thread runs, for its lifetime.
class ScopedSchedule {
 public:
  explicit ScopedSchedule(const Schedule& schedule);
  ~ScopedSchedule();
  ScopedSchedule(const ScopedSchedule&) = delete;
  ScopedSchedule& operator=(const ScopedSchedule&) = delete;

 private:
  Schedule previous_;
};

struct Grid {
  const char* kernel = "";
  Extent blocks;
  Extent threads;
  bool synchronises = true;      ///< false: threads run one after the other without fibers, and a barrier is a Failure
  std::size_t shared_bytes = 0;  ///< of dynamic shared memory
  unsigned cluster = 1;          ///< blocks along x; they know their rank, but run one after the other as any blocks do
};

/// Runs thread(arguments) for every thread of the grid. Throws Failure, or what the kernel throws.
void run_grid(const Grid& grid, void (*thread)(const void* arguments), const void* arguments);

// ---- for code inside a kernel (device.h wraps it) ----

struct Position {
  Extent thread;
  Extent block;
  Extent threads;
  Extent blocks;
  unsigned cluster = 1;
};
extern thread_local constinit const Position* current_position;

/// Where in a kernel's source something is asked for.
#ifdef __cpp_lib_source_location
using Site = std::source_location;
#else  // clang 14 and 15 with GCC's library
class Site {
 public:
  static constexpr Site current(const char* file = __builtin_FILE(), std::uint32_t line = __builtin_LINE()) {
    Site site;
    site.file_ = file;
    site.line_ = line;
    return site;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr std::uint32_t line() const { return line_; }

 private:
  const char* file_ = "";
  std::uint32_t line_ = 0;
};
#endif

/// __syncthreads.
void sync_block(const Site& site);

/// What the lanes of a warp do together: called once, when all lanes of the mask have arrived, with the operands of
/// each (null for the others), which stay valid until it returns.
using WarpOperation = void (*)(void* const operands[kWarp], std::uint32_t mask, const Site& site);
void warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands, const Site& site);

/// __syncwarp.
void sync_warp(std::uint32_t mask, const Site& site);

/// The block's shared array of this declaration (key), filled with NaN in each new block.
void* shared_memory(const void* key, const char* name, std::size_t bytes, const Site& site);

/// The block's dynamic shared memory, of which a kernel uses so many bytes; filled as shared arrays are. The same in
/// every call.
void* dynamic_shared_memory(std::size_t bytes, const Site& site);

/// Vector accesses: `bytes` at an address that must be aligned to them, and inside one array if it lies in shared
/// memory.
void load_vector(void* to, const void* from, std::size_t bytes, const Site& site);
void store_vector(void* to, const void* from, std::size_t bytes, const Site& site);

/// Before a lane's row of ldmatrix is loaded: 16 bytes of shared memory.
inline constexpr std::size_t kMatrixRow = 16;
void announce_matrix_row(const void* row, const Site& site);

/// cp.async of 16 bytes from global to shared memory, zeros if not valid; closing a group; waiting for all but
/// `pending` groups. A copy takes place at the wait (Order::ascending), when it is issued (descending), or at either
/// (shuffled).
void copy_async(void* shared, const void* global, bool valid, const Site& site);
void commit_copies();
void wait_copies(int pending);

/// Throws Failure: kernel, block and thread are added to the message.
[[noreturn]] void fail(const std::string& what, const Site& site);

}  // namespace lfm::simt
