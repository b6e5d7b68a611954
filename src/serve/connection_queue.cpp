#include "src/serve/connection_queue.h"

#include <utility>

namespace lfm {
namespace {

constexpr std::size_t kRefusingThreads = 4, kMostRefused = 64;

thread_local bool refuses_here = false;

}  // namespace

ConnectionQueue::ConnectionQueue(std::size_t served, std::size_t waiting) : served_(served), most_waiting_(waiting) {
  for (std::size_t i = 0; i < served; ++i) threads_.emplace_back([this] { run(waiting_, false); });
  for (std::size_t i = 0; i < kRefusingThreads; ++i) threads_.emplace_back([this] { run(refused_, true); });
}

void ConnectionQueue::enqueue(std::function<void()> connection) {
  {
    std::unique_lock lock(mutex_);
    const auto has_room = [this] { return busy_ + waiting_.size() < served_ + most_waiting_; };
    changed_.wait(lock, [&] { return has_room() || refused_.size() < kMostRefused; });
    (has_room() ? waiting_ : refused_).push_back(std::move(connection));
  }
  changed_.notify_all();
}

void ConnectionQueue::run(Connections& own, bool refuses) {
  refuses_here = refuses;
  for (;;) {
    std::function<void()> connection;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !own.empty(); });
      if (own.empty()) return;
      connection = std::move(own.front());
      own.pop_front();
      if (!refuses) ++busy_;
    }
    connection();
    {
      const std::lock_guard lock(mutex_);
      if (!refuses) --busy_;
    }
    changed_.notify_all();
  }
}

void ConnectionQueue::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ConnectionQueue::is_refusing() { return refuses_here; }

}  // namespace lfm
