// Arrays for kernels that the memory checker watches.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <type_traits>

#include "kernels/simt/check/memory_checker.h"

namespace lfm::test {

/// `count` values that the checker knows by a name: 256-byte aligned as on a device, with room around so that
/// a kernel that leaves them is caught and not killed. Without a seed an output or workspace, that kernels must store
/// to before they load it. Filled from the seed: floats in [-1, 1), bytes at random, other integers and everything with
/// seed 0 zero.
template <typename T>
class WatchedArray {
 public:
  WatchedArray(simt::MemoryChecker& checker, const std::string& name, std::size_t count)
      : WatchedArray(checker, name, count, 0, simt::Contents::unwritten) {}
  WatchedArray(simt::MemoryChecker& checker, const std::string& name, std::size_t count, unsigned seed,
               simt::Contents contents = simt::Contents::written)
      : checker_(checker),
        memory_(static_cast<std::byte*>(::operator new (count * sizeof(T) + 2 * kRoom, std::align_val_t{256}))) {
    std::memset(memory_.get(), 0, count * sizeof(T) + 2 * kRoom);
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < count && seed != 0; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        data()[i] = static_cast<T>(static_cast<double>(random()) / 0x1p31 - 1.0);
      } else if constexpr (sizeof(T) == 1) {
        data()[i] = static_cast<T>(random());
      }
    }
    checker_.add_array(name, data(), count * sizeof(T), contents);
  }
  ~WatchedArray() { checker_.remove_array(data()); }
  WatchedArray(const WatchedArray&) = delete;
  WatchedArray& operator=(const WatchedArray&) = delete;

  T* data() const { return reinterpret_cast<T*>(memory_.get() + kRoom); }
  operator T*() const { return data(); }

 private:
  static constexpr std::size_t kRoom = 64 * 1024;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{256}); }
  };
  simt::MemoryChecker& checker_;
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace lfm::test
