// Streams and events of the emulated device. Work is deferred until somebody waits for it, and then runs in an order of
// the queues drawn from a seed: a missing event wait, or a host buffer reused too early, shows as a wrong result.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace lfm::simt {

class Context;

struct Event {
  std::uint64_t recorded = 0;   ///< count of records enqueued
  std::uint64_t completed = 0;  ///< the last one that ran
};

class Queue {
 public:
  /// Runs after what the queue already holds.
  void enqueue(std::function<void()> work);
  void record(Event& event);
  /// Later work of this queue runs after the event's latest record. An event never recorded counts as complete.
  void wait(Event& event);
  /// Runs everything the queue holds, and of other queues what that waits for. Throws what the work throws; the
  /// context's remaining work is dropped then.
  void synchronize();

 private:
  friend class Context;
  explicit Queue(Context& context) : context_(context) {}
  struct Command {
    std::function<void()> work;
    const Event* awaited = nullptr;
    std::uint64_t version = 0;
  };
  bool runnable() const;
  Context& context_;
  std::deque<Command> commands_;
};

/// The queues that may wait for each other. Not thread-safe: one host thread.
class Context {
 public:
  explicit Context(std::uint64_t seed = 0) : random_(seed) {}
  Queue& create_queue();
  void destroy_queue(Queue& queue);  ///< what it still holds is dropped
  /// Runs queues in turns until done() holds.
  void run_until(const std::function<bool()>& done);
  void synchronize(const Event& event);

 private:
  std::vector<std::unique_ptr<Queue>> queues_;
  std::mt19937_64 random_;
};

}  // namespace lfm::simt
