// Where the training loader's batches lie: in memory that the engine's passes read without a copy, where it has such a
// kind (page-locked, of a GPU), else in anybody's.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <unordered_map>

#include "src/engine/engine.h"

namespace lfm {

/// Any thread may allocate. All memory has to be given back before the engine goes.
class PixelMemoryOf final : public std::pmr::memory_resource {
 public:
  /// From now on. Nothing may have been allocated before.
  void use(Engine& engine) { engine_ = engine.prefers_own_memory() ? &engine : nullptr; }
  /// What batches say of pixels in it.
  PixelMemory kind() const { return engine_ ? PixelMemory::pinned : PixelMemory::host; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  Engine* engine_ = nullptr;
  std::mutex mutex_;
  std::unordered_map<void*, PixelBuffer> buffers_;
};

}  // namespace lfm
