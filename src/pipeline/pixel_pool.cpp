#include "src/pipeline/pixel_pool.h"

#include <new>

#include "lfm/error.h"

namespace lfm {

namespace {

constexpr std::size_t kSlabBlocks = 64;  // locking pages takes long: many at a time

}  // namespace

std::uint8_t* PixelPool::take(std::size_t bytes) {
  if (bytes != block_bytes_) return nullptr;
  const std::lock_guard lock(mutex_);
  if (free_.empty() && !exhausted_) {
    try {
      slabs_.push_back(engine_.host_memory(kSlabBlocks * block_bytes_));
      for (std::size_t i = 0; i < kSlabBlocks; ++i) free_.push(slabs_.back().get() + i * block_bytes_);
    } catch (const Error&) {
      exhausted_ = true;
    } catch (const std::bad_alloc&) {
      exhausted_ = true;
    }
  }
  if (free_.empty()) return nullptr;
  std::uint8_t* block = free_.top();
  free_.pop();
  return block;
}

void PixelPool::give_back(std::uint8_t* block) {
  const std::lock_guard lock(mutex_);
  free_.push(block);
}

}  // namespace lfm
