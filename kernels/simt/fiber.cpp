#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "kernels/simt/sanitizer.h"

#if defined(LFM_SANITIZED_ADDRESS)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(LFM_SANITIZED_THREAD)
#include <sanitizer/tsan_interface.h>
#endif

namespace lfm::simt {

namespace {

namespace context = boost::context::detail;

#if defined(LFM_SANITIZED_ADDRESS) || defined(LFM_SANITIZED_THREAD)
constexpr std::size_t kStackBytes = 256 * 1024;  // instrumented frames are several times larger
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif
constexpr int kStacksPerMapping = 32;

}  // namespace

// Stacks of one mapping, each above an inaccessible page: an overflow faults instead of reaching a neighbour.
struct FiberPool::Stacks {
  Stacks() : page(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), stride(kStackBytes + page) {
    memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    for (int i = 0; i < kStacksPerMapping; ++i) {
      if (mprotect(static_cast<char*>(memory) + i * stride, page, PROT_NONE) != 0) throw std::bad_alloc();
    }
  }
  ~Stacks() { munmap(memory, bytes()); }
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  std::size_t bytes() const { return kStacksPerMapping * stride; }
  char* bottom(int i) const { return static_cast<char*>(memory) + i * stride + page; }

  std::size_t page;
  std::size_t stride;
  void* memory = nullptr;
};

struct FiberPool::Fiber {
  char* stack = nullptr;
  context::fcontext_t context = nullptr;
  void* fake_stack = nullptr;
  void* tsan = nullptr;
  bool idle = true;  // suspended between two runs of the body
};

FiberPool::FiberPool() = default;

FiberPool::~FiberPool() {
#if defined(LFM_SANITIZED_ADDRESS)
  for (auto& fiber : fibers_) __asan_unpoison_memory_region(fiber->stack, kStackBytes);
#endif
#if defined(LFM_SANITIZED_THREAD)
  for (auto& fiber : fibers_) __tsan_destroy_fiber(fiber->tsan);
#endif
}

void FiberPool::rewind(Fiber& fiber) {
#if defined(LFM_SANITIZED_ADDRESS)
  __asan_unpoison_memory_region(fiber.stack, kStackBytes);  // marks of the frames that are forgotten
  fiber.fake_stack = nullptr;
#endif
  fiber.context = context::make_fcontext(fiber.stack + kStackBytes, kStackBytes, &FiberPool::entry);
  fiber.idle = true;
}

void FiberPool::prepare(int count, FiberBody body, void* argument) {
  body_ = body;
  argument_ = argument;
  while (static_cast<int>(fibers_.size()) < count) {
    const int slot = static_cast<int>(fibers_.size()) % kStacksPerMapping;
    if (slot == 0) stacks_.push_back(std::make_unique<Stacks>());
    auto fiber = std::make_unique<Fiber>();
    fiber->stack = stacks_.back()->bottom(slot);
#if defined(LFM_SANITIZED_THREAD)
    fiber->tsan = __tsan_create_fiber(0);
#endif
    rewind(*fiber);
    fibers_.push_back(std::move(fiber));
  }
}

void FiberPool::resume(int index) {
  Fiber& fiber = *fibers_[static_cast<std::size_t>(index)];
  running_ = &fiber;
#if defined(LFM_SANITIZED_ADDRESS)
  __sanitizer_start_switch_fiber(&scheduler_.fake_stack, fiber.stack, kStackBytes);
#endif
#if defined(LFM_SANITIZED_THREAD)
  scheduler_.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber.tsan, 0);
#endif
  const context::transfer_t from = context::jump_fcontext(fiber.context, this);
#if defined(LFM_SANITIZED_ADDRESS)
  __sanitizer_finish_switch_fiber(scheduler_.fake_stack, nullptr, nullptr);
#endif
  fiber.context = from.fctx;
}

void FiberPool::suspend() {
  [[maybe_unused]] Fiber& fiber = *running_;
#if defined(LFM_SANITIZED_ADDRESS)
  __sanitizer_start_switch_fiber(&fiber.fake_stack, scheduler_.stack, scheduler_.stack_size);
#endif
#if defined(LFM_SANITIZED_THREAD)
  __tsan_switch_to_fiber(scheduler_.tsan, 0);
#endif
  const context::transfer_t from = context::jump_fcontext(scheduler_.context, nullptr);
#if defined(LFM_SANITIZED_ADDRESS)
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_.stack, &scheduler_.stack_size);
#endif
  scheduler_.context = from.fctx;
}

void FiberPool::entry(context::transfer_t transfer) {
  auto& pool = *static_cast<FiberPool*>(transfer.data);
#if defined(LFM_SANITIZED_ADDRESS)
  __sanitizer_finish_switch_fiber(nullptr, &pool.scheduler_.stack, &pool.scheduler_.stack_size);
#endif
  pool.scheduler_.context = transfer.fctx;
  Fiber& self = *pool.running_;
  while (true) {
    self.idle = false;
    pool.body_(pool.argument_);
    self.idle = true;
    pool.suspend();
  }
}

void FiberPool::abandon() {
  for (auto& fiber : fibers_) {
    if (!fiber->idle) rewind(*fiber);
  }
}

}  // namespace lfm::simt
