// A process's share of a stream: inputs that are handed to it one by one, scored in a thread of its own, results for
// whoever collects them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "lfm/detector.h"
#include "src/pipeline/media_source.h"

namespace lfm {

/// Of an input with this number: one of its results, or the news that there are no more.
struct ShareResult {
  std::uint64_t number = 0;
  std::optional<Detection> detection;
};

class Share {
 public:
  /// media: how files are taken apart into pages and frames. The detector is in use until this is gone.
  Share(Detector& detector, const MediaOptions& media);
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share();  ///< leaves undone what has not begun

  void put(std::uint64_t number, Input input);
  void end();  ///< no more inputs will come

  /// The results that have come since the last call. Throws what ended the scoring.
  std::vector<ShareResult> take();
  /// Waits until there is something to take, but not longer than this.
  void wait(std::chrono::microseconds most);
  /// After end(): whether all results have been taken.
  bool done();

 private:
  /// What the stream reads from: the inputs that were put in.
  class Inputs : public InputSource {
   public:
    explicit Inputs(Share& share) : share_(share) {}
    std::optional<Input> next() override;
    bool starved() const override;
    void when_starved(std::function<void()> tell) override;

   private:
    Share& share_;
  };
  /// Counts what an input was taken apart into.
  class Parts : public InputSource {
   public:
    Parts(Share& share, InputSource& media) : share_(share), media_(media) {}
    std::optional<Input> next() override;
    bool starved() const override { return media_.starved(); }
    void cancel() override { share_.give_up(); }
    void when_starved(std::function<void()> tell) override { share_.inputs_.when_starved(std::move(tell)); }

   private:
    Share& share_;
    InputSource& media_;
  };
  struct Counts {
    std::size_t parts = 0, answered = 0;
    bool read = false;  ///< no more parts will come
  };

  void run(Detector& detector);
  void give_up();
  void finish_if_answered(std::uint64_t number);

  mutable std::mutex mutex_;  ///< guards all below, but for the sources
  std::condition_variable put_, resulted_;
  std::deque<Input> waiting_;
  std::map<std::uint64_t, Counts> counts_;   ///< of inputs under way
  std::optional<std::uint64_t> being_read_;  ///< the input that the media source may still take parts from
  std::vector<ShareResult> results_;
  std::function<void()> tell_starved_;
  std::exception_ptr failure_;
  bool starved_ = false, ended_ = false, done_ = false;

  Inputs inputs_{*this};
  MediaSource media_;
  Parts parts_{*this, media_};
  std::thread thread_;
};

}  // namespace lfm
