// How much memory the emulated device has: what the host gives, unless a test asks for less.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace lfm::simt {

/// Bytes that one allocation of this host thread may take.
inline thread_local std::size_t memory_limit = SIZE_MAX;

/// A smaller device, for its lifetime.
class ScopedMemoryLimit {
 public:
  explicit ScopedMemoryLimit(std::size_t bytes) : previous_(std::exchange(memory_limit, bytes)) {}
  ~ScopedMemoryLimit() { memory_limit = previous_; }
  ScopedMemoryLimit(const ScopedMemoryLimit&) = delete;
  ScopedMemoryLimit& operator=(const ScopedMemoryLimit&) = delete;

 private:
  std::size_t previous_;
};

}  // namespace lfm::simt
