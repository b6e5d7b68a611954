// The shared memory of the emulated block that runs: arrays in order of declaration, 16-byte aligned, and the dynamic
// part behind where they may end, aligned to 128 bytes. Of every 16 bytes it knows which thread copied there and
// whether the async proxy (products of warpgroups, bulk copies) may look: not before the thread's fence.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/simt/grid.h"
#include "kernels/simt/observer.h"

namespace lfm::simt {

class SharedMemory {
 public:
  static constexpr std::uint32_t kUnderWay = UINT32_MAX;

  void reset() {
    used_ = 0;
    arrays_.clear();
  }
  void* declare(const void* key, const char* name, std::size_t bytes, const Site& site) {
    for (const Array& array : arrays_) {
      if (array.key == key) return memory_.data() + array.begin;
    }
    const std::size_t begin = used_;
    used_ = (begin + bytes + 15) / 16 * 16;
    if (used_ > kStaticSharedLimit) {
      fail(fmt::format("shared array {} of {} bytes takes the block to {} bytes, over the limit of {}", name, bytes,
                       used_, kStaticSharedLimit),
           site);
    }
    return add({key, name, begin, bytes});
  }
  void* declare_dynamic(std::size_t bytes, std::size_t launched_with, const Site& site) {
    if (bytes > launched_with) {
      fail(fmt::format("{} bytes of dynamic shared memory are used, but the kernel was launched with {}", bytes,
                       launched_with),
           site);
    }
    for (const Array& array : arrays_) {
      if (array.key == &kDynamic) return memory_.data() + array.begin;
    }
    return add({&kDynamic, "dynamic shared memory", kStaticSharedLimit, launched_with});
  }
  bool contains(const void* p) const {
    const auto* at = static_cast<const std::byte*>(p);
    return at >= memory_.data() && at < memory_.data() + memory_.size();
  }
  void check(const void* p, std::size_t bytes, const Site& site) const {
    const auto* at = static_cast<const std::byte*>(p);
    if (!contains(p)) return;
    const auto begin = static_cast<std::size_t>(at - memory_.data());
    for (const Array& array : arrays_) {
      if (begin >= array.begin && begin + bytes <= array.begin + array.bytes) return;
    }
    fail(fmt::format("a {}-byte access to shared memory crosses the end of its array", bytes), site);
  }

  /// A thread wrote the 16 bytes around p after so many of its fences, or has a copy to them under way.
  void wrote(const void* p, int thread, std::uint32_t fences) { write_of(p) = {thread, fences}; }
  /// The async proxy reads or writes them. fences_of(thread): how many it has executed.
  template <typename FencesOf>
  void check_async(const void* p, const FencesOf& fences_of, const Site& site) {
    const Write& write = write_of(p);
    if (write.thread < 0) return;
    if (write.fences == kUnderWay) {
      fail(fmt::format("the async proxy looks where thread {} has a copy under way", write.thread), site);
    }
    if (write.fences >= fences_of(write.thread)) {
      fail(fmt::format("the async proxy looks where thread {} wrote without fence_async_proxy() since", write.thread),
           site);
    }
  }

 private:
  struct Array {
    const void* key;
    const char* name;
    std::size_t begin;
    std::size_t bytes;
  };
  struct Write {
    int thread = -1;
    std::uint32_t fences = 0;
  };

  void* add(const Array& array) {
    arrays_.push_back(array);
    std::byte* const begin = memory_.data() + array.begin;
    std::memset(begin, 0xff, array.bytes);  // NaN
    const auto first = writes_.begin() + static_cast<std::ptrdiff_t>(array.begin / 16);
    std::fill(first, first + static_cast<std::ptrdiff_t>((array.bytes + 15) / 16), Write{});
    if (observer) observer->shared_array(array.name, begin, array.bytes);
    return begin;
  }
  Write& write_of(const void* p) {
    return writes_[static_cast<std::size_t>(static_cast<const std::byte*>(p) - memory_.data()) / 16];
  }

  static constexpr char kDynamic = 0;  // its address is the key
  alignas(128) std::array<std::byte, kStaticSharedLimit + kSharedLimit> memory_;
  std::vector<Write> writes_ = std::vector<Write>((kStaticSharedLimit + kSharedLimit) / 16);
  std::size_t used_ = 0;
  std::vector<Array> arrays_;
};

}  // namespace lfm::simt
