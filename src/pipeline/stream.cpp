#include "src/pipeline/stream.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "src/engine/out_of_memory.h"
#include "src/model/architecture.h"
#include "src/pipeline/member_queues.h"
#include "src/pipeline/picture.h"

namespace lfm {
namespace {

constexpr const char* kNoMemory = "there is not enough memory to score it at its size; use another view";

struct Slot {
  enum class State {
    decoding,
    waiting,  ///< with pieces that the engine has not taken
    scoring,  ///< all that is left is with the engine
    done,
    emitted,
  };
  State state = State::decoding;
  Input input;
  Detection detection;
  Picture picture;
};

/// A piece of a batch, and whose it is.
struct BatchPiece {
  Slot* slot;
  Piece* piece;
};

/// A batch under way, and what becomes of it.
struct Round {
  std::vector<BatchPiece> group;
  std::vector<const std::uint8_t*> images;
  std::vector<MemberOutput> outputs;
};

/// The engines of a device, and the batches they have under way. Their memory serves batch after batch.
struct Scorer {
  Scorer(const EngineSet& engines_, std::span<const Member> members) : engines(engines_), queue(engines, members) {
    rounds.resize(static_cast<std::size_t>(queue.depth()));
    for (Round& round : rounds) round.outputs.resize(engines.size());
  }
  Round& next() { return rounds[(first + static_cast<std::size_t>(queue.under_way())) % rounds.size()]; }
  bool is_full() const { return queue.under_way() == static_cast<int>(rounds.size()); }

  const EngineSet& engines;
  std::vector<Round> rounds;  // a ring
  std::size_t first = 0;      // the earliest under way
  MemberQueues queue;         // goes first: it waits for whatever writes to the rounds
};

class ScoringStream {
 public:
  ScoringStream(std::span<const EngineSet> engines, const StreamOptions& options, InputSource& source,
                const std::function<void(Detection&, const Input&)>& finish)
      : engines_(engines),
        options_(options),
        source_(source),
        finish_(finish),
        lookahead_(static_cast<std::size_t>(4 * options.batch + 32)),
        window_((1 + engines.size()) * lookahead_),
        in_order_(source.in_order()) {}

  void run(const std::function<void(Detection&&)>& sink) {
    std::vector<std::thread> threads;
    source_.when_starved([this] {
      {
        const std::lock_guard lock(mutex_);
      }  // whoever is about to wait either sees that the source is starved, or waits already
      changed_.notify_all();
    });
    try {
      for (int i = 0; i < options_.workers; ++i) threads.emplace_back([this] { guarded([this] { work(); }); });
      for (const EngineSet& set : engines_) threads.emplace_back([this, &set] { guarded([&] { score(set); }); });
      emit(sink);
    } catch (...) {
      stop(std::current_exception());
    }
    for (std::thread& thread : threads) thread.join();
    source_.when_starved({});
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void guarded(const std::function<void()>& body) {
    try {
      body();
    } catch (...) {
      stop(std::current_exception());
    }
  }

  void stop(std::exception_ptr failure) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::move(failure);
      stopped_ = true;
    }
    source_.cancel();
    changed_.notify_all();
  }

  // ---- workers: path -> pixels ----

  void work() {
    std::unique_lock lock(mutex_);
    while (Slot* slot = take_slot(lock)) {
      lock.unlock();
      decode(*slot);
      lock.lock();
      if (slot->picture.pieces.empty()) {
        slot->state = Slot::State::done;
      } else {
        wait_for_room(lock, *slot);
        waiting_bytes_ += slot->picture.bytes;
        slot->state = Slot::State::waiting;
      }
      changed_.notify_all();
    }
  }

  /// The slot of the next path; null when there is none.
  Slot* take_slot(std::unique_lock<std::mutex>& lock) {
    changed_.wait(lock, [&] {
      const bool room =
          slots_.size() < window_ && slots_.end() - first_unscored() < static_cast<std::ptrdiff_t>(lookahead_);
      return stopped_ || exhausted_ || (!source_in_use_ && room);
    });
    if (stopped_ || exhausted_) return nullptr;
    source_in_use_ = true;
    lock.unlock();
    std::optional<Input> input = source_.next();
    lock.lock();
    source_in_use_ = false;
    changed_.notify_all();
    if (!input) {
      exhausted_ = true;
      return nullptr;
    }
    Slot& slot = slots_.emplace_back();
    slot.input = std::move(*input);
    return &slot;
  }

  /// Leaves the slot without pieces where there is nothing to score.
  void decode(Slot& slot) {
    Detection& detection = slot.detection;
    detection.path = slot.input.path;
    detection.part = slot.input.part;
    detection.ticket = slot.input.ticket;
    try {
      Presentation presentation = options_.presentation;
      if (slot.input.stable) presentation.deliveries = options_.stable_deliveries;
      std::optional<InputViews> views = read_input(slot.input, presentation, options_.limits);
      if (!views) {
        detection.status = Detection::Status::skipped;
        return;
      }
      slot.input.image.reset();  // the slot lives on
      slot.input.bytes.reset();
      take_facts(*views, detection);
      slot.picture =
          cut_up(std::move(*views), presentation, options_.members, options_.evidence || slot.input.evidence);
      if (slot.picture.pieces.empty()) put_together(slot.picture, detection);
    } catch (const Error& error) {
      detection.error = cause(error, slot.input.path);
    } catch (const std::bad_alloc&) {
      slot.picture = {};
      detection.error = "there is not enough memory to decode it";
    }
  }

  /// The path next in line always has room, so that nothing waits for ever.
  void wait_for_room(std::unique_lock<std::mutex>& lock, const Slot& slot) {
    const auto has_room = [&] {
      return stopped_ || waiting_bytes_ + slot.picture.bytes <= options_.pixel_budget || &*first_unscored() == &slot;
    };
    if (has_room()) return;
    ++without_room_;
    changed_.notify_all();
    changed_.wait(lock, has_room);
    --without_room_;
  }

  // ---- a thread per device: pixels -> logits ----

  void score(const EngineSet& engines) {
    Scorer scorer(engines, options_.members);
    try {
      while (score_next(scorer)) {
      }
    } catch (...) {
      const std::exception_ptr failure = std::current_exception();
      try {
        while (scorer.queue.under_way() > 0) finish_earliest(scorer);  // what was done before goes out
      } catch (...) {  // NOLINT(bugprone-empty-catch): the first failure is the one to tell
      }
      std::rethrow_exception(failure);
    }
  }

  /// Begins a batch, or finishes the earliest under way. False when there is nothing left to do.
  bool score_next(Scorer& scorer) {
    std::unique_lock lock(mutex_);
    std::vector<BatchPiece> group;
    changed_.wait(lock, [&] {
      if (!scorer.is_full()) group = due_group();
      return stopped_ || !group.empty() || scorer.queue.under_way() > 0 ||
             (exhausted_ && first_unscored() == slots_.end());
    });
    if (stopped_) return false;
    for (const BatchPiece& member : group) take(member);
    lock.unlock();
    if (!group.empty()) {
      begin_group(scorer, std::move(group));
    } else if (scorer.queue.under_way() > 0) {
      finish_earliest(scorer);
    } else {
      return false;
    }
    return true;
  }

  std::deque<Slot>::iterator first_unscored() {
    return std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) {
      return s.state == Slot::State::decoding || s.state == Slot::State::waiting;
    });
  }

  static void take(const BatchPiece& member) {
    member.piece->taken = true;
    if (std::ranges::all_of(member.slot->picture.pieces, &Piece::taken)) member.slot->state = Slot::State::scoring;
  }

  /// What scored pieces held. Returns the slots whose last pieces these are: they are the calling thread's to complete.
  std::vector<Slot*> release(const std::vector<BatchPiece>& group) {
    std::vector<Slot*> complete;
    for (const BatchPiece& member : group) {
      waiting_bytes_ -= member.piece->pixels.bytes();
      member.piece->pixels = {};
      if (--member.slot->picture.left == 0) complete.push_back(member.slot);
    }
    return complete;
  }

  /// The first waiting piece and those of its size behind it, up to the first slot still being decoded where results go
  /// out in order; empty while more of them can come within the lookahead.
  std::vector<BatchPiece> due_group() {
    std::vector<BatchPiece> group;
    std::size_t bytes = 0;
    const auto first = first_unscored();
    auto slot = first;
    for (; slot != slots_.end() && (!in_order_ || slot->state != Slot::State::decoding); ++slot) {
      if (slot->state != Slot::State::waiting) continue;
      for (Piece& piece : slot->picture.pieces) {
        const Image& pixels = piece.pixels.image;
        if (piece.taken) continue;
        if (!group.empty()) {
          const Image& first_pixels = group[0].piece->pixels.image;
          if (pixels.width != first_pixels.width || pixels.height != first_pixels.height) continue;
          if (bytes + piece.pixels.bytes() > options_.pixel_budget) return group;
        }
        group.push_back({&*slot, &piece});
        bytes += piece.pixels.bytes();
        if (group.size() == static_cast<std::size_t>(options_.batch)) return group;
      }
    }
    const bool all_there =
        slot == slots_.end() && (exhausted_ || slots_.end() - first == static_cast<std::ptrdiff_t>(lookahead_));
    if (!all_there && without_room_ == 0 && !source_.starved()) group.clear();
    return group;
  }

  void begin_group(Scorer& scorer, std::vector<BatchPiece> group) {
    std::string error;
    try {
      return begin_round(scorer, group);
    } catch (const OutOfMemory& failure) {
      error = failure.what();
    } catch (const Error& failure) {
      if (failure.code() != ErrorCode::input) throw;
      error = failure.what();
    } catch (const std::bad_alloc&) {
      error = kNoMemory;
    }
    if (group.size() == 1) {
      group[0].piece->error = error;
      complete(group);
      return;
    }
    // One image must not take the others of its batch down.
    for (const BatchPiece& member : group) {
      if (scorer.is_full()) finish_earliest(scorer);
      begin_group(scorer, {member});
    }
  }

  static bool wants_evidence(const BatchPiece& m) {
    return m.piece->delivery == 0 && !m.slot->picture.evidence.empty();
  }

  void begin_round(Scorer& scorer, const std::vector<BatchPiece>& group) {
    const Image& first = group[0].piece->pixels.image;
    require_memory(scorer.engines, first);
    Round& round = scorer.next();
    round.group = group;
    round.images.clear();
    for (const BatchPiece& m : group) round.images.push_back(m.piece->pixels.data());
    const bool all_in_blocks =
        std::ranges::all_of(group, [](const BatchPiece& m) { return m.piece->pixels.block != nullptr; });
    const bool with_maps = std::ranges::any_of(group, wants_evidence);
    for (std::size_t m = 0; m < round.outputs.size(); ++m) {
      const Architecture& architecture = options_.members[m].architecture;
      MemberOutput& out = round.outputs[m];
      out.logits.resize(group.size());
      out.features.resize(options_.features ? group.size() * static_cast<std::size_t>(feature_count(architecture)) : 0);
      const auto positions = static_cast<std::size_t>(map_size(architecture, first.height, first.width).area());
      out.maps.resize(with_maps ? group.size() * static_cast<std::size_t>(map_channels(architecture)) * positions : 0);
    }
    const PixelBatch batch{nullptr,
                           static_cast<int>(group.size()),
                           first.height,
                           first.width,
                           all_in_blocks ? PixelMemory::pinned : PixelMemory::host,
                           round.images.data()};
    scorer.queue.begin(batch, round.outputs);
  }

  void finish_earliest(Scorer& scorer) {
    Round& round = scorer.rounds[scorer.first];
    scorer.first = (scorer.first + 1) % scorer.rounds.size();
    scorer.queue.finish();
    const std::vector<BatchPiece> group = std::exchange(round.group, {});
    for (std::size_t i = 0; i < group.size(); ++i) {
      Piece& piece = *group[i].piece;
      try {
        for (std::size_t m = 0; m < round.outputs.size(); ++m) {
          const MemberOutput& out = round.outputs[m];
          const std::size_t width = out.features.size() / group.size(), map_floats = out.maps.size() / group.size();
          if (wants_evidence(group[i])) {
            add_evidence(group[i].slot->picture, piece, std::span(out.maps).subspan(i * map_floats, map_floats),
                         options_.members, m);
          }
          add_score(piece, out.logits[i], std::span(out.features).subspan(i * width, width));
        }
      } catch (const std::bad_alloc&) {
        piece.error = kNoMemory;
      }
    }
    complete(group);
  }

  void complete(const std::vector<BatchPiece>& group) {
    std::unique_lock lock(mutex_);
    const std::vector<Slot*> complete = release(group);
    changed_.notify_all();
    lock.unlock();
    for (Slot* slot : complete) {
      if (put_together(slot->picture, slot->detection)) finish_(slot->detection, slot->input);
    }
    lock.lock();
    for (Slot* slot : complete) slot->state = Slot::State::done;
    changed_.notify_all();
  }

  void require_memory(const EngineSet& engines, const Image& image) const {
    std::size_t needed = 0;
    for (const Engine* engine : engines)
      needed += engine->plan({1, image.height, image.width, PlanMode::inference}).bytes;
    if (options_.arena_limit == 0 || needed <= options_.arena_limit) return;
    throw Error(
        ErrorCode::input,
        fmt::format("at {}x{} the network needs {:.1f} GB of memory, more than this machine can spare; use --view "
                    "resize or --view center",
                    image.width, image.height, static_cast<double>(needed) / 1e9));
  }

  // ---- caller: results in input order, or as they are ready ----

  /// The slot whose result goes out next; null while there is none.
  Slot* next_done() {
    for (Slot& slot : slots_) {
      if (slot.state == Slot::State::done) return &slot;
      if (in_order_) break;
    }
    return nullptr;
  }

  void emit(const std::function<void(Detection&&)>& sink) {
    std::unique_lock lock(mutex_);
    for (;;) {
      Slot* done = nullptr;
      changed_.wait(lock, [&] {
        done = next_done();
        return done != nullptr || stopped_ || (slots_.empty() && exhausted_);
      });
      if (done == nullptr) return;  // what was done before a failure still goes out
      Detection detection = std::move(done->detection);
      done->state = Slot::State::emitted;
      while (!slots_.empty() && slots_.front().state == Slot::State::emitted) slots_.pop_front();
      lock.unlock();
      changed_.notify_all();
      sink(std::move(detection));
      lock.lock();
    }
  }

  const std::span<const EngineSet> engines_;
  const StreamOptions& options_;
  InputSource& source_;
  const std::function<void(Detection&, const Input&)>& finish_;
  const std::size_t
      lookahead_;  ///< slots from the first unscored one on: bounds the pixels, and where batches may come from
  const std::size_t window_;  ///< slots in all, with results that wait for the sink
  const bool in_order_;

  std::mutex mutex_;  ///< guards all below; a slot that is decoding or scoring belongs to the thread that does it
  std::condition_variable changed_;
  std::deque<Slot> slots_;  ///< in input order, from the first not yet emitted on
  std::size_t waiting_bytes_ = 0;
  int without_room_ = 0;  ///< workers that hold an image the pixel budget has no room for
  bool source_in_use_ = false;
  bool exhausted_ = false;
  bool stopped_ = false;
  std::exception_ptr failure_;
};

}  // namespace

void score_stream(std::span<const EngineSet> engines, const StreamOptions& options, InputSource& source,
                  const std::function<void(Detection&, const Input&)>& finish,
                  const std::function<void(Detection&&)>& sink) {
  ScoringStream(engines, options, source, finish).run(sink);
}

}  // namespace lfm
