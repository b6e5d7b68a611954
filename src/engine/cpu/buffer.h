// Float storage for the engine's arenas and packed weights: aligned, uninitialised, on large pages where the system has
// them (fewer page faults at load, fewer TLB misses in the strided transforms).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "src/engine/plan.h"

namespace lfm::cpu {

/// Of every region, in bytes; and what a region of so many floats takes, in floats.
inline constexpr std::size_t kAlignment = 64;
constexpr std::size_t padded_floats(std::size_t floats) {
  constexpr std::size_t unit = kAlignment / sizeof(float);
  return (floats + unit - 1) / unit * unit;
}

/// Adds a region of floats; returns where it begins, in floats.
inline std::size_t add_floats(ArenaLayout& layout, const char* name, std::size_t floats) {
  return layout.add(name, {static_cast<std::int64_t>(floats), 1, 1, 1}, sizeof(float)).offset / sizeof(float);
}

class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{device} when the memory can't be had.
  explicit Buffer(std::size_t floats);

  /// Makes room for the plan; what was in a buffer that is too small is lost.
  void grow(const Plan& plan);

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
