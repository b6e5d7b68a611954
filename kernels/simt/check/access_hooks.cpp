// What gcc's -fsanitize=thread calls before loads and stores, on entering and leaving functions. Kernels
// compiled so are linked with this file in place of the sanitizer's library.
#include <algorithm>
#include <cstddef>

#include "kernels/simt/observer.h"

namespace {

using lfm::simt::Access;

void touch(Access kind, const void* p, std::size_t bytes, const void* instruction) {
  if (!lfm::simt::observer || !lfm::simt::current_position) return;  // host code
  const int thread = static_cast<int>(lfm::simt::current_position->thread.x);
  constexpr std::size_t widest = 16;  // of one access; larger ones are copies of whole structures
  for (std::size_t done = 0; done < bytes; done += widest) {
    lfm::simt::observer->access(thread, kind, static_cast<const char*>(p) + done, std::min(widest, bytes - done),
                                nullptr, instruction);
  }
}

}  // namespace

extern "C" {

#define LFM_HOOK(name, kind, bytes) \
  void name(void* p) { touch(kind, p, bytes, __builtin_return_address(0)); }
#define LFM_HOOKS(bytes)                                       \
  LFM_HOOK(__tsan_read##bytes, Access::load, bytes)            \
  LFM_HOOK(__tsan_write##bytes, Access::store, bytes)          \
  LFM_HOOK(__tsan_volatile_read##bytes, Access::load, bytes)   \
  LFM_HOOK(__tsan_volatile_write##bytes, Access::store, bytes) \
  LFM_HOOK(__tsan_unaligned_read##bytes, Access::load, bytes)  \
  LFM_HOOK(__tsan_unaligned_write##bytes, Access::store, bytes)

LFM_HOOKS(1)
LFM_HOOKS(2)
LFM_HOOKS(4)
LFM_HOOKS(8)
LFM_HOOKS(16)

void __tsan_read_range(void* p, std::size_t bytes) { touch(Access::load, p, bytes, __builtin_return_address(0)); }
void __tsan_write_range(void* p, std::size_t bytes) { touch(Access::store, p, bytes, __builtin_return_address(0)); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_init() {}

void __tsan_func_entry(void* caller) {
  if (!lfm::simt::observer || !lfm::simt::current_position) return;
  lfm::simt::observer->enter_function(static_cast<int>(lfm::simt::current_position->thread.x), caller);
}
void __tsan_func_exit() {
  if (!lfm::simt::observer || !lfm::simt::current_position) return;
  lfm::simt::observer->leave_function(static_cast<int>(lfm::simt::current_position->thread.x));
}
}
