#include "src/serve/request_queue.h"

#include <utility>

namespace lfm {

std::optional<std::vector<std::future<Detection>>> RequestQueue::push(std::vector<PictureRequest> pictures) {
  std::vector<std::future<Detection>> answers;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() + pictures.size() > most_) return std::nullopt;
    for (PictureRequest& picture : pictures) {
      Input input;
      input.bytes = std::move(picture.bytes);
      input.ticket = next_ticket_++;
      input.evidence = picture.evidence;
      input.stable = picture.stable;
      Waiting& waiting = waiting_[input.ticket];
      waiting.name = std::move(picture.name);
      answers.push_back(waiting.promise.get_future());
      inputs_.push_back(std::move(input));
    }
    const Clock::time_point now = Clock::now();
    if (now >= batch_began_ + max_wait_) batch_began_ = now;
  }
  changed_.notify_all();
  return answers;
}

void RequestQueue::answer(Detection&& detection) {
  Waiting waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(detection.ticket);
    if (found == waiting_.end()) return;
    waiting = std::move(found->second);
    waiting_.erase(found);
  }
  detection.path = std::move(waiting.name);
  waiting.promise.set_value(std::move(detection));
}

void RequestQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

void RequestQueue::fail(std::exception_ptr reason) {
  std::map<std::uint64_t, Waiting> waiting;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    inputs_.clear();
    waiting.swap(waiting_);
  }
  changed_.notify_all();
  for (auto& [ticket, one] : waiting) one.promise.set_exception(reason);
}

std::size_t RequestQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::optional<Input> RequestQueue::next() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return closed_ || !inputs_.empty(); };
  // What has come so far waits for more until the deadline of the first; then the stream is told to go on without.
  if (!changed_.wait_until(lock, batch_began_ + max_wait_, ready)) {
    if (const std::function<void()> tell = tell_starved_) {
      lock.unlock();  // the stream asks starved() in return
      tell();
      lock.lock();
    }
    changed_.wait(lock, ready);
  }
  if (inputs_.empty()) return std::nullopt;
  Input input = std::move(inputs_.front());
  inputs_.pop_front();
  return input;
}

bool RequestQueue::starved() const {
  const std::lock_guard lock(mutex_);
  return inputs_.empty() && Clock::now() >= batch_began_ + max_wait_;
}

void RequestQueue::when_starved(std::function<void()> tell) {
  const std::lock_guard lock(mutex_);
  tell_starved_ = std::move(tell);
}

}  // namespace lfm
