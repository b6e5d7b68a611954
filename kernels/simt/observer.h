// Who watches a grid run: told where blocks begin and end, which threads meet, and which bytes each thread
// touches. The memory checker (check/memory_checker.h) is one. Vector accesses and warp-wide loads are
// announced by their wrappers in device.h; plain loads and stores only where the kernel was compiled with the
// hooks of check/access_hooks.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simt/grid.h"

namespace lfm::simt {

enum class Access : std::uint8_t { load, store };

/// Calls come from the host thread that runs the grid; `thread` counts the block's threads.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void begin_grid(const Grid& grid) = 0;
  virtual void begin_block(const Extent& block) = 0;
  virtual void end_block() = 0;  ///< also of a block that failed
  virtual void shared_array(const char* name, const void* begin, std::size_t bytes) = 0;
  virtual void barrier() = 0;  ///< all threads of the block have met
  /// The lanes of `mask` of the warp that starts at `first_thread` have met. orders_memory: what each did
  /// before, the others see afterwards; true of sync_warp alone, since shuffles and votes promise no such
  /// thing.
  virtual void warp_met(int first_thread, std::uint32_t mask, bool orders_memory) = 0;
  /// `thread` is about to touch `bytes` at p, in one instruction: that written at `site`, or, without one,
  /// that at `instruction`.
  virtual void access(int thread, Access kind, const void* p, std::size_t bytes, const Site* site,
                      const void* instruction) = 0;
  /// Asynchronous copies (cp.async): the thread's last store to shared memory, at p, is one that has only begun; it
  /// closes a group of them; it has waited for all but its `pending` latest groups.
  virtual void copy_begun(int thread, const void* p) = 0;
  virtual void copies_committed(int thread) = 0;
  virtual void copies_awaited(int thread, int pending) = 0;
  /// A bulk copy begins, announced by no access(): `bytes` from global memory to shared memory.
  virtual void bulk_copy(int thread, const void* to, const void* from, std::size_t bytes, const Site& site) = 0;
  virtual void enter_function(int thread, const void* caller) = 0;
  virtual void leave_function(int thread) = 0;
};

/// Of the grids that this host thread runs; null: nobody watches.
extern thread_local constinit Observer* observer;

/// Announces an access of the calling thread to whoever watches.
inline void announce(Access kind, const void* p, std::size_t bytes, const Site& site) {
  if (observer) observer->access(static_cast<int>(current_position->thread.x), kind, p, bytes, &site, nullptr);
}

}  // namespace lfm::simt
