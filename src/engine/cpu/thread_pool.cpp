#include "src/engine/cpu/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>

#include "src/machine/cores.h"

namespace lfm::cpu {
namespace {

// Long enough to bridge the serial gaps between the regions of one inference, short enough to be no load when idle.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::uint64_t remaining(std::uint64_t claim) { return claim & 0xffffffffu; }

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const int count = threads > 0 ? threads : usable_cores();
  workers_.reserve(static_cast<std::size_t>(count - 1));
  try {
    for (int worker = 1; worker < count; ++worker) workers_.emplace_back([this, worker] { work(worker); });
  } catch (...) {  // the system starts no more threads
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stop_.store(true);
  claim_.fetch_add(std::uint64_t{1} << 32);
  claim_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(int count, Call call, void* self) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1) {
    for (int i = 0; i < count; ++i) call(self, i, 0);
    return;
  }
  call_ = call;
  self_ = self;
  count_ = count;
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t generation = (claim_.load(std::memory_order_relaxed) >> 32) + 1;
  const std::uint64_t open = generation << 32 | static_cast<std::uint64_t>(count);
  claim_.store(open, std::memory_order_seq_cst);
  claim_.notify_all();

  while (work_one(open, 0)) {
  }
  for (int spin = 0;; ++spin) {
    const int done = done_.load(std::memory_order_acquire);
    if (done == count) return;
    if (spin < kSpins) {
      pause();
    } else {
      done_.wait(done, std::memory_order_acquire);
    }
  }
}

/// Claims and runs one task of the generation in seen; false when none is left or the generation is over.
bool ThreadPool::work_one(std::uint64_t seen, int worker) {
  std::uint64_t claim = claim_.load(std::memory_order_acquire);
  do {
    if (claim >> 32 != seen >> 32 || remaining(claim) == 0) return false;
  } while (!claim_.compare_exchange_weak(claim, claim - 1, std::memory_order_acq_rel, std::memory_order_acquire));
  const int count = count_;
  call_(self_, count - static_cast<int>(remaining(claim)), worker);
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done_.notify_one();
  return true;
}

void ThreadPool::work(int worker) {
  std::uint64_t seen = 0;
  for (;;) {
    std::uint64_t claim = claim_.load(std::memory_order_acquire);
    for (int spin = 0; claim >> 32 == seen >> 32; ++spin) {
      if (spin < kSpins) {
        pause();
      } else {
        claim_.wait(claim, std::memory_order_acquire);
      }
      claim = claim_.load(std::memory_order_acquire);
    }
    if (stop_.load()) return;
    seen = claim;
    while (work_one(seen, worker)) {
    }
  }
}

}  // namespace lfm::cpu
