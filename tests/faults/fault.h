// What a test tells the interposing library (inject.cpp), and what it hears back.
#pragma once

#include <atomic>
#include <cstdint>

namespace lfm::test {

// Environment variables. LFM_FAULT_CALL=KIND: malloc, open, read, write, fsync, rename, mmap, thread. LFM_FAULT_AT=N:
// the call that fails, from 1 on, counted over all threads from the start of main; 0: none, the calls are only counted.
// LFM_FAULT_HOW=ERROR: its errno by name, or "short" for a read or write that does half. LFM_FAULT_LASTS=1: every later
// call of the kind fails too. LFM_FAULT_RECORD=FILE: a FaultRecord, mapped, so that it survives whatever becomes of the
// process.
inline constexpr const char* kFaultCall = "LFM_FAULT_CALL";
inline constexpr const char* kFaultAt = "LFM_FAULT_AT";
inline constexpr const char* kFaultHow = "LFM_FAULT_HOW";
inline constexpr const char* kFaultLasts = "LFM_FAULT_LASTS";
inline constexpr const char* kFaultRecord = "LFM_FAULT_RECORD";

struct FaultRecord {
  std::atomic<std::uint64_t> calls;  ///< of the kind, so far
  std::atomic<std::uint64_t> fired;  ///< how many of them failed
};

}  // namespace lfm::test
