#include "src/train/pixel_memory.h"

namespace lfm {

void* PixelMemoryOf::do_allocate(std::size_t bytes, std::size_t alignment) {
  if (!engine_) return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  PixelBuffer buffer = engine_->host_memory(bytes);
  void* const memory = buffer.get();
  const std::lock_guard lock(mutex_);
  buffers_.emplace(memory, std::move(buffer));
  return memory;
}

void PixelMemoryOf::do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) {
  if (!engine_) return std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  const std::lock_guard lock(mutex_);
  buffers_.erase(memory);
}

}  // namespace lfm
