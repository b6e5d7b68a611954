// What an engine that computes in the host's memory, at once, need not say itself.
#include "src/engine/engine.h"

#include <algorithm>

namespace lfm {

PixelBuffer Engine::host_memory(std::size_t bytes) { return std::make_shared_for_overwrite<std::uint8_t[]>(bytes); }

PixelBuffer Engine::place(const PixelBatch& batch) {
  PixelBuffer copy = host_memory(batch.bytes());
  std::copy_n(batch.pixels, batch.bytes(), copy.get());
  return copy;
}

void Engine::mark(std::size_t index) {
  if (marks_.size() <= index) marks_.resize(index + 1);
  marks_[index] = std::chrono::steady_clock::now();
}

double Engine::milliseconds_between(std::size_t from, std::size_t to) {
  return std::chrono::duration<double, std::milli>(marks_.at(to) - marks_.at(from)).count();
}

}  // namespace lfm
