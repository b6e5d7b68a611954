#include "src/pipeline/share.h"

#include <utility>

namespace lfm {
namespace {

constexpr auto kGathering =
    std::chrono::milliseconds(5);  // a batch that is not full waits so long for inputs on their way

}  // namespace

Share::Share(Detector& detector, const MediaOptions& media)
    : media_(inputs_, media), thread_([this, &detector] { run(detector); }) {}

Share::~Share() {
  give_up();
  thread_.join();
}

void Share::give_up() {
  {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    ended_ = true;
  }
  put_.notify_all();
}

void Share::run(Detector& detector) {
  std::exception_ptr failure;
  try {
    detector.detect_stream(parts_, [this](Detection&& detection) {
      const std::lock_guard lock(mutex_);
      const std::uint64_t number = detection.ticket;
      ++counts_[number].answered;
      results_.push_back({number, std::move(detection)});
      finish_if_answered(number);
      resulted_.notify_all();
    });
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  done_ = true;
  resulted_.notify_all();
}

void Share::finish_if_answered(std::uint64_t number) {
  const auto found = counts_.find(number);
  if (found == counts_.end() || !found->second.read || found->second.answered < found->second.parts) return;
  counts_.erase(found);
  results_.push_back({number, std::nullopt});
}

void Share::put(std::uint64_t number, Input input) {
  input.ticket = number;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(input));
    starved_ = false;
  }
  put_.notify_all();
}

void Share::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  put_.notify_all();
}

std::vector<ShareResult> Share::take() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  return std::exchange(results_, {});
}

void Share::wait(std::chrono::microseconds most) {
  std::unique_lock lock(mutex_);
  resulted_.wait_for(lock, most, [&] { return !results_.empty() || failure_; });
}

bool Share::done() {
  const std::lock_guard lock(mutex_);
  return done_ && !failure_ && results_.empty();
}

// Asked for the next input, the media source has no more parts of the one before.
std::optional<Input> Share::Inputs::next() {
  Share& s = share_;
  std::unique_lock lock(s.mutex_);
  if (s.being_read_) {
    const std::uint64_t number = *std::exchange(s.being_read_, std::nullopt);
    s.counts_[number].read = true;
    s.finish_if_answered(number);
    s.resulted_.notify_all();
  }
  const auto ready = [&] { return s.ended_ || !s.waiting_.empty(); };
  if (!s.put_.wait_for(lock, kGathering, ready)) {
    s.starved_ = true;
    if (const std::function<void()> tell = s.tell_starved_) {
      lock.unlock();  // the stream asks starved() in return
      tell();
      lock.lock();
    }
    s.put_.wait(lock, ready);
  }
  if (s.waiting_.empty()) return std::nullopt;
  Input input = std::move(s.waiting_.front());
  s.waiting_.pop_front();
  s.being_read_ = input.ticket;
  s.counts_[input.ticket] = {};
  return input;
}

bool Share::Inputs::starved() const {
  const std::lock_guard lock(share_.mutex_);
  return share_.starved_;
}

void Share::Inputs::when_starved(std::function<void()> tell) {
  const std::lock_guard lock(share_.mutex_);
  share_.tell_starved_ = std::move(tell);
}

std::optional<Input> Share::Parts::next() {
  std::optional<Input> part = media_.next();
  if (part) {
    const std::lock_guard lock(share_.mutex_);
    ++share_.counts_[part->ticket].parts;
  }
  return part;
}

}  // namespace lfm
