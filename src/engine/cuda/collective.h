// Sums over the GPUs of a data-parallel run, on the device's stream, without the host. By NCCL (collective_nccl.cpp),
// or not at all (collective_none.cpp): sums then pass through the host, as Communicator's.
#pragma once

#include <cstddef>
#include <memory>

#include "src/engine/cuda/device.h"
#include "src/engine/engine.h"

namespace lfm::device::inline LFM_TARGET {

class Collective {
 public:
  virtual ~Collective() = default;
  /// In place, enqueued; every process enqueues the same sums in the same order.
  virtual void sum(float* device, std::size_t count, Stream& stream) = 0;
  virtual void sum(double* device, std::size_t count, Stream& stream) = 0;
};

/// Every process calls this, through whose communicator the GPUs find each other; each has a GPU of its own. Nothing
/// where this build, or one of the machines, has no NCCL. Throws Error{device} where it fails.
std::unique_ptr<Collective> make_collective(const Context& context, const Communicator& communicator);

}  // namespace lfm::device::inline LFM_TARGET
