// What one memory request of a warp costs: 32-byte sectors of global memory, wavefronts of shared memory.
#pragma once

#include <cstdint>
#include <span>

namespace lfm::simt {

struct LaneAccess {
  int lane;
  std::uintptr_t address;
  int bytes;
};

struct Cost {
  int taken = 0;
  int least = 0;  ///< what the same bytes would take if they lay in the best way
};

/// Sectors of 32 bytes that the request touches; at least its different bytes / 32, rounded up.
Cost sectors_of(std::span<const LaneAccess> request);

/// Wavefronts of a request to shared memory, 32 banks of 4 bytes, lane addresses relative to a multiple of
/// 128. Lanes with 4 bytes or fewer go together, with 8 bytes half a warp at a time, with 16 bytes a quarter.
/// In each such phase a bank serves one word per wavefront, to any number of lanes. least: the phases that
/// have lanes. The difference are bank conflicts.
Cost wavefronts_of(std::span<const LaneAccess> request);

}  // namespace lfm::simt
