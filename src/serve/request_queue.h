// Pictures that clients sent and wait for: a stream's source, and where its results go.
//
// A client's thread pushes pictures and waits for their futures; the stream's workers take them out one by one. Answers
// come back in whatever order they are ready, so that a large picture holds up no small one behind it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lfm/detector.h"

namespace lfm {

struct PictureRequest {
  std::string name;  ///< what the client calls it; never opened
  std::shared_ptr<const std::vector<std::byte>> bytes;
  bool evidence = false;  ///< also where its logit comes from
  bool stable = false;    ///< score mild re-deliveries too
};

class RequestQueue final : public InputSource {
 public:
  using Clock = std::chrono::steady_clock;

  /// most: pictures that may wait for their answer at a time. max_wait: how long the first picture of a batch waits for
  /// others.
  RequestQueue(std::size_t most, Clock::duration max_wait) : most_(most), max_wait_(max_wait) {}

  /// All of them, or none where there is no room for all or the queue is closed. Each future gives a Detection, or
  /// throws what ended the stream.
  std::optional<std::vector<std::future<Detection>>> push(std::vector<PictureRequest> pictures);

  /// The stream's sink: answers whoever waits for this picture.
  void answer(Detection&& detection);

  /// Takes no more; what is there is still scored. Any thread, any number of times.
  void close();

  /// The stream has ended for this reason: whoever waits is told.
  void fail(std::exception_ptr reason);

  std::size_t waiting() const;  ///< pictures without an answer

  // InputSource
  std::optional<Input> next() override;
  bool starved() const override;
  void when_starved(std::function<void()> tell) override;
  bool in_order() const override { return false; }
  void cancel() override { close(); }

 private:
  struct Waiting {
    std::string name;
    std::promise<Detection> promise;
  };

  const std::size_t most_;
  const Clock::duration max_wait_;
  mutable std::mutex mutex_;  ///< guards all below
  std::condition_variable changed_;
  std::deque<Input> inputs_;                  ///< not yet taken by the stream
  std::map<std::uint64_t, Waiting> waiting_;  ///< by ticket
  std::uint64_t next_ticket_ = 1;
  Clock::time_point batch_began_;  ///< when the first picture came since the stream was told to go on
  std::function<void()> tell_starved_;
  bool closed_ = false;
};

}  // namespace lfm
