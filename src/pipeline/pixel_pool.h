// Memory that decoded pixels wait in for the network: blocks of one size, from the engine's own memory, so that they cross to the device
// from where they were written. Blocks come back and are handed out again; those handed out one after the other lie side by side where
// they can, since neighbours cross as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <vector>

#include "src/engine/engine.h"

namespace lfm {

class PixelPool {
 public:
  /// Gives its block back. The pool must outlive its blocks, and the engine the pool.
  struct GiveBack {
    PixelPool* pool = nullptr;
    void operator()(std::uint8_t* block) const { pool->give_back(block); }
  };
  using Block = std::unique_ptr<std::uint8_t[], GiveBack>;

  PixelPool(Engine& engine, std::size_t block_bytes) : engine_(engine), block_bytes_(block_bytes) {}

  std::size_t block_bytes() const { return block_bytes_; }
  /// Uninitialised. Any thread may call. Empty where the engine has no more memory of its own: any other will do then.
  Block take();

 private:
  void give_back(std::uint8_t* block);

  Engine& engine_;
  const std::size_t block_bytes_;
  std::mutex mutex_;
  std::vector<PixelBuffer> slabs_;
  std::priority_queue<std::uint8_t*, std::vector<std::uint8_t*>, std::greater<>> free_;
  bool exhausted_ = false;
};

}  // namespace lfm
