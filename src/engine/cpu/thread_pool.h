// A persistent pool for short parallel regions: the caller works too, idle workers spin briefly and then sleep.
//
// Tasks are claimed one by one, so a slow core takes fewer. Results never depend on who runs what: a task's arithmetic
// depends on its index alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace lfm::cpu {

class ThreadPool {
 public:
  /// threads counts the caller; 0: usable_cores(). A forked child must make its own pool. Throws std::system_error
  /// where the system starts no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(index, worker) for index in [0, count), worker in [0, threads()); returns when all are done. No two
  /// running tasks share a worker, so it names a scratch buffer. Tasks must not throw. Not reentrant.
  template <typename Task>
  void run(int count, Task&& task) {
    using Plain = std::remove_reference_t<Task>;
    run_erased(
        count, [](void* self, int index, int worker) noexcept { (*static_cast<Plain*>(self))(index, worker); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

 private:
  using Call = void (*)(void*, int, int) noexcept;
  void run_erased(int count, Call call, void* self);
  bool work_one(std::uint64_t seen, int worker);
  void work(int worker);
  void stop();

  // The claim word holds {generation, tasks not yet claimed}. A worker that comes late fails its compare-and-swap,
  // because the generation moved on, and so never touches a job that is over; one that succeeds keeps the job alive
  // until it counts in done_.
  std::atomic<std::uint64_t> claim_{0};
  std::atomic<int> done_{0};
  Call call_ = nullptr;
  void* self_ = nullptr;
  int count_ = 0;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace lfm::cpu
