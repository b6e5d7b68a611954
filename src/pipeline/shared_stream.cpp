#include "src/pipeline/shared_stream.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>

#include "src/pipeline/detection_bytes.h"
#include "src/pipeline/share.h"

namespace lfm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPollInterval = std::chrono::microseconds(500);
constexpr auto kSoon = std::chrono::milliseconds(500), kLate = std::chrono::milliseconds(1000);
constexpr std::size_t kLeastRoom = 16, kMostRoom = 1024;  // inputs that a process may have
constexpr std::size_t kMostAhead = 32;         // inputs read but not dealt out, which an interrupted run still scores
constexpr std::size_t kMostUnfinished = 4096;  // inputs from the first without all its results on

enum class Kind : std::uint8_t { input, no_more, dismissed, result, finished };

std::vector<std::byte> letter(Kind kind, std::uint64_t number = 0) {
  std::vector<std::byte> bytes(1 + sizeof number);
  bytes[0] = static_cast<std::byte>(kind);
  std::memcpy(&bytes[1], &number, sizeof number);
  return bytes;
}

struct Opened {
  Kind kind = {};
  std::uint64_t number = 0;
  std::span<const std::byte> rest;
};

Opened open_letter(const Letter& letter) {
  if (letter.bytes.size() < 1 + sizeof(std::uint64_t))
    throw std::runtime_error("a message from another process is cut off");
  Opened opened{static_cast<Kind>(letter.bytes[0]), 0, std::span(letter.bytes).subspan(1 + sizeof(std::uint64_t))};
  std::memcpy(&opened.number, &letter.bytes[1], sizeof opened.number);
  return opened;
}

/// Reads ahead of the root, which must not wait for a slow list.
class ReadAhead {
 public:
  explicit ReadAhead(InputSource& source) : source_(source), thread_([this] { run(); }) {}
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    source_.cancel();
    taken_.notify_all();
    thread_.join();
  }

  /// Nothing: none has come yet, or there are no more.
  std::optional<Input> take() {
    const std::lock_guard lock(mutex_);
    if (inputs_.empty()) return std::nullopt;
    Input input = std::move(inputs_.front());
    inputs_.pop_front();
    taken_.notify_all();
    return input;
  }

  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_ && inputs_.empty();
  }

  /// What ended the source, if it did not end by itself.
  void rethrow() {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run() {
    std::exception_ptr failure;
    try {
      for (std::optional<Input> input = source_.next(); input; input = source_.next()) {
        std::unique_lock lock(mutex_);
        taken_.wait(lock, [&] { return stopped_ || inputs_.size() < kMostAhead; });
        if (stopped_) break;
        inputs_.push_back(std::move(*input));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    ended_ = true;
  }

  InputSource& source_;
  std::mutex mutex_;  ///< guards all below
  std::condition_variable taken_;
  std::deque<Input> inputs_;
  std::exception_ptr failure_;
  bool stopped_ = false, ended_ = false;
  std::thread thread_;
};

/// Deals out and puts back in order.
class Dealer {
 public:
  Dealer(const Mail& mail, Share& own, const std::function<void(Detection&&)>& sink)
      : mail_(mail), own_(own), sink_(sink), room_(static_cast<std::size_t>(mail.size)) {}

  /// Whether one more input can be handed out now.
  bool has_room() const { return hands_.size() < kMostUnfinished && roomiest()->under_way < roomiest()->most; }

  void deal(Input input) {
    const auto to = static_cast<int>(roomiest() - room_.begin());
    const std::uint64_t number = first_ + hands_.size();
    hands_.push_back({input.path, to, Clock::now(), {}, false});
    ++room_[static_cast<std::size_t>(to)].under_way;
    if (to == mail_.rank) return own_.put(number, std::move(input));
    std::vector<std::byte> bytes = letter(Kind::input, number);
    append_bytes(bytes, input);
    mail_.send(to, std::move(bytes));
  }

  /// Takes what has come; whether there was anything.
  bool collect() {
    bool any = false;
    for (ShareResult& result : own_.take()) {
      any = true;
      accept(result.number, std::move(result.detection));
    }
    while (const std::optional<Letter> received = mail_.receive()) {
      any = true;
      Opened opened = open_letter(*received);
      std::optional<Detection> detection;
      if (opened.kind == Kind::result) detection = take_detection(opened.rest);
      accept(opened.number, std::move(detection));
    }
    return any;
  }

  bool is_empty() const { return hands_.empty(); }

 private:
  /// An input that is under way, or whose results wait for those of an earlier one.
  struct Hand {
    std::filesystem::path path;
    int rank = 0;
    Clock::time_point dealt;
    std::vector<Detection> results;  ///< that wait
    bool finished = false;
  };
  struct Room {
    std::size_t under_way = 0, most = kLeastRoom;
  };

  std::vector<Room>::const_iterator roomiest() const {
    const auto left = [](const Room& room) {
      return static_cast<std::ptrdiff_t>(room.most) - static_cast<std::ptrdiff_t>(room.under_way);
    };
    return std::ranges::max_element(room_, {}, left);
  }

  void accept(std::uint64_t number, std::optional<Detection> detection) {
    Hand& hand = hands_.at(number - first_);
    if (detection) {
      detection->path = hand.path;
      detection->ticket = 0;
      number == first_ ? sink_(std::move(*detection)) : hand.results.push_back(std::move(*detection));
      return;
    }
    hand.finished = true;
    Room& room = room_[static_cast<std::size_t>(hand.rank)];
    --room.under_way;
    const auto taken = Clock::now() - hand.dealt;
    if (taken < kSoon) room.most = std::min(room.most + 1, kMostRoom);
    if (taken > kLate) room.most = std::max(room.most - 1, kLeastRoom);
    while (!hands_.empty() && hands_.front().finished) {
      hands_.pop_front();
      ++first_;
      if (hands_.empty()) break;
      for (Detection& waiting : std::exchange(hands_.front().results, {})) sink_(std::move(waiting));
    }
  }

  const Mail& mail_;
  Share& own_;
  const std::function<void(Detection&&)>& sink_;
  std::vector<Room> room_;   ///< by rank
  std::deque<Hand> hands_;   ///< in order of the source
  std::uint64_t first_ = 0;  ///< number of the first hand
};

void tell_all(const Mail& mail, Kind kind) {
  for (int rank = 0; rank < mail.size; ++rank) {
    if (rank != mail.rank) mail.send(rank, letter(kind));
  }
}

}  // namespace

bool score_shared(Detector& detector, const Mail& mail, InputSource& source, const MediaOptions& media,
                  const std::function<void(Detection&&)>& sink, const std::function<bool()>& hurried) {
  Share own(detector, media);
  ReadAhead inputs(source);
  Dealer dealer(mail, own, sink);
  std::optional<Clock::time_point> hurried_since;
  while (!inputs.ended() || !dealer.is_empty()) {
    bool any = false;
    while (dealer.has_room()) {
      std::optional<Input> input = inputs.take();
      if (!input) break;
      dealer.deal(std::move(*input));
      any = true;
    }
    if (dealer.collect() || any) continue;
    if (hurried()) {
      if (!hurried_since) hurried_since = Clock::now();
      if (Clock::now() > *hurried_since + kSoon) {
        tell_all(mail, Kind::dismissed);
        return false;
      }
    }
    own.wait(kPollInterval);
  }
  tell_all(mail, Kind::no_more);
  inputs.rethrow();
  return true;
}

bool score_for_root(Detector& detector, const Mail& mail, const MediaOptions& media) {
  constexpr int root = 0;
  Share own(detector, media);
  while (!own.done()) {
    bool any = false;
    while (const std::optional<Letter> received = mail.receive()) {
      any = true;
      Opened opened = open_letter(*received);
      if (opened.kind == Kind::dismissed) return false;
      opened.kind == Kind::input ? own.put(opened.number, take_input(opened.rest)) : own.end();
    }
    for (const ShareResult& result : own.take()) {
      any = true;
      std::vector<std::byte> bytes = letter(result.detection ? Kind::result : Kind::finished, result.number);
      if (result.detection) append_bytes(bytes, *result.detection);
      mail.send(root, std::move(bytes));
    }
    if (!any) own.wait(kPollInterval);
  }
  return true;
}

void dismiss_all(const Mail& mail) { tell_all(mail, Kind::dismissed); }

}  // namespace lfm
