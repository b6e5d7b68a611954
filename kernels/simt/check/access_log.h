// What the memory checker keeps of a block's accesses between two barriers, and the races it finds in them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/simt/observer.h"

namespace lfm::simt {

enum class Space : std::uint8_t { global, shared };

struct AccessRecord {
  std::uintptr_t address;
  std::uint64_t instruction;  ///< the same for lanes at the same place of the program, calls included
  const void* pc;             ///< null where file and line are known
  const char* file;
  std::uint32_t line;
  std::uint32_t clock;        ///< sync_warp's that the thread had passed
  std::uint32_t convergence;  ///< whole-warp meetings that the thread had passed
  std::uint8_t bytes;
  Access kind;
  Space space;
  bool requested = true;  ///< false: the end of an asynchronous copy, whose request was its beginning
};

/// Of one thread, since the last barrier of its block. Clocks are vector clocks over the lanes of its warp:
/// `passed[c][lane]` says how many meetings of `lane` this thread knew of at its own clock c.
struct ThreadLog {
  std::vector<AccessRecord> records;
  std::vector<std::array<std::uint32_t, kWarp>> passed;
  std::uint32_t convergence = 0;
};

struct Race {
  int thread, other_thread;
  const AccessRecord* record;
  const AccessRecord* other;
};

/// Reports pairs of accesses to the same byte by different threads, at least one of them a store, that
/// nothing orders: not in the same warp, or no sync_warp of both in between. One report for each pair of
/// instructions.
void find_races(const std::vector<ThreadLog>& threads, const std::function<void(const Race&)>& report);

}  // namespace lfm::simt
