#include "kernels/simt/queue.h"

#include <algorithm>
#include <utility>

#include "kernels/simt/grid.h"

namespace lfm::simt {

void Queue::enqueue(std::function<void()> work) { commands_.push_back({std::move(work)}); }

void Queue::record(Event& event) {
  const std::uint64_t version = ++event.recorded;
  enqueue([&event, version] { event.completed = std::max(event.completed, version); });
}

void Queue::wait(Event& event) {
  commands_.push_back({[] {}, &event, event.recorded});
}

bool Queue::runnable() const {
  if (commands_.empty()) return false;
  const Command& next = commands_.front();
  return !next.awaited || next.awaited->completed >= next.version;
}

void Queue::synchronize() {
  context_.run_until([this] { return commands_.empty(); });
}

Queue& Context::create_queue() {
  queues_.push_back(std::unique_ptr<Queue>(new Queue(*this)));
  return *queues_.back();
}

void Context::destroy_queue(Queue& queue) {
  std::erase_if(queues_, [&](const auto& q) { return q.get() == &queue; });
}

void Context::synchronize(const Event& event) {
  run_until([&event, version = event.recorded] { return event.completed >= version; });
}

void Context::run_until(const std::function<bool()>& done) {
  try {
    while (!done()) {
      std::vector<Queue*> runnable;
      for (const auto& queue : queues_) {
        if (queue->runnable()) runnable.push_back(queue.get());
      }
      if (runnable.empty()) throw Failure("streams wait for events that nothing will record");
      Queue& queue = *runnable[random_() % runnable.size()];
      const auto work = std::move(queue.commands_.front().work);
      queue.commands_.pop_front();
      work();
    }
  } catch (...) {
    for (const auto& queue : queues_) queue->commands_.clear();
    throw;
  }
}

}  // namespace lfm::simt
