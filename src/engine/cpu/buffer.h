// Float storage for the engine's arenas and packed weights: aligned, uninitialised, on large pages where the system has them
// (fewer page faults at load, fewer TLB misses in the strided transforms).
#pragma once

#include <cstddef>
#include <memory>

namespace lfm::cpu {

class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{device} when the memory can't be had.
  explicit Buffer(std::size_t floats);

  float* data() const { return data_.get(); }
  std::size_t size() const { return floats_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::unique_ptr<float, Free> data_;
  std::size_t floats_ = 0;
};

}  // namespace lfm::cpu
