// The connections that clients have made: served by so many threads, a bounded number waiting, the others told to come
// again.
//
//   accept -> room?  yes: waiting -> a thread each, which serves all requests of its connection
//                    no:  refusing -> a few threads, in which is_refusing() holds and every request is answered 503
//             where even those have too much to do, nobody is accepted meanwhile: clients wait in the kernel, whose
//             list is bounded too
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lfm {

class ConnectionQueue final : public httplib::TaskQueue {
 public:
  /// served: connections at a time; waiting: for one of them to end.
  ConnectionQueue(std::size_t served, std::size_t waiting);

  void enqueue(std::function<void()> connection) override;
  void shutdown() override;  ///< serves those that wait, and returns

  /// Whether the calling thread has no other task than to tell its client to come again.
  static bool is_refusing();

 private:
  using Connections = std::deque<std::function<void()>>;
  void run(Connections& own, bool refuses);

  const std::size_t served_, most_waiting_;
  std::mutex mutex_;  ///< guards all below
  std::condition_variable changed_;
  Connections waiting_, refused_;
  std::size_t busy_ = 0;  ///< threads that serve a connection
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lfm
