// Memory that decoded pixels wait in for the network: blocks of one size, from the engine's own memory, so that they
// cross to the device from where they were written. Blocks come back and are handed out again; those handed out one
// after the other lie side by side where they can, since neighbours cross as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <vector>

#include "src/engine/engine.h"
#include "src/image/view.h"

namespace lfm {

/// The engine must outlive the pool.
class PixelPool final : public PixelSource {
 public:
  PixelPool(Engine& engine, std::size_t block_bytes) : engine_(engine), block_bytes_(block_bytes) {}

  /// Null for another size, and where the engine has no more memory of its own: any other will do then.
  std::uint8_t* take(std::size_t bytes) override;
  void give_back(std::uint8_t* block) override;

 private:
  Engine& engine_;
  const std::size_t block_bytes_;
  std::mutex mutex_;
  std::vector<PixelBuffer> slabs_;
  std::priority_queue<std::uint8_t*, std::vector<std::uint8_t*>, std::greater<>> free_;
  bool exhausted_ = false;
};

}  // namespace lfm
