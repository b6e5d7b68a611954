#include "src/engine/cpu/buffer.h"

#include <fmt/core.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdlib>

#include "lfm/error.h"

namespace lfm::cpu {

Buffer::Buffer(std::size_t floats) : floats_(floats) {
  constexpr std::size_t page = std::size_t{2} << 20;
  const std::size_t alignment = floats * sizeof(float) >= page ? page : 64;
  const std::size_t bytes = (floats * sizeof(float) + alignment - 1) / alignment * alignment;
  if (bytes == 0) return;
  data_.reset(static_cast<float*>(std::aligned_alloc(alignment, bytes)));
  if (!data_) {
    throw Error(ErrorCode::device,
                fmt::format("no memory for {} MiB of activations: use a smaller batch or image", bytes >> 20));
  }
#if defined(__linux__)
  if (alignment == page) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
}

void Buffer::grow(const Plan& plan) {
  if (floats_ * sizeof(float) >= plan.bytes) return;
  *this = {};  // first, so that both never take memory at once
  *this = Buffer(plan.bytes / sizeof(float));
}

void Buffer::Free::operator()(float* p) const { std::free(p); }

}  // namespace lfm::cpu
