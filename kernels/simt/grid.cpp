#include "kernels/simt/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "kernels/simt/async_copies.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/observer.h"

namespace lfm::simt {

thread_local constinit const Position* current_position = nullptr;
thread_local constinit Observer* observer = nullptr;

namespace {

thread_local constinit Schedule schedule;

std::string name_of(const Site& site) { return fmt::format("{}:{}", site.file_name(), site.line()); }

std::string name_of(const Extent& e) { return fmt::format("({}, {}, {})", e.x, e.y, e.z); }

// What runs while one of these lives is not watched.
class Unobserved {
 public:
  Unobserved() : watching_(std::exchange(observer, nullptr)) {}
  ~Unobserved() { observer = watching_; }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  Observer* watching_;
};

// The warp operation of sync_warp: nothing but the meeting.
void order_memory(void* const*, std::uint32_t, const Site&) {}

// The order of `count` items; shuffled anew at each call.
class Turns {
 public:
  explicit Turns(std::uint64_t count) : order_(count), random_(schedule.seed) {
    std::iota(order_.begin(), order_.end(), 0u);
    if (schedule.order == Order::descending) std::reverse(order_.begin(), order_.end());
  }
  const std::vector<unsigned>& next() {
    if (schedule.order == Order::shuffled) {
      for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random_() % i]);
    }
    return order_;
  }

 private:
  std::vector<unsigned> order_;
  std::mt19937_64 random_;
};

Extent unflatten(std::uint64_t index, const Extent& extent) {
  return {static_cast<unsigned>(index % extent.x), static_cast<unsigned>(index / extent.x % extent.y),
          static_cast<unsigned>(index / extent.x / extent.y)};
}

// The shared memory of the block that runs: arrays in order of declaration, 16-byte aligned, and the dynamic part behind
// where they may end, aligned to 128 bytes.
class SharedMemory {
 public:
  void reset() {
    used_ = 0;
    arrays_.clear();
  }
  void* declare(const void* key, const char* name, std::size_t bytes, const Site& site) {
    for (const Array& array : arrays_) {
      if (array.key == key) return memory_.data() + array.begin;
    }
    const std::size_t begin = used_;
    used_ = (begin + bytes + 15) / 16 * 16;
    if (used_ > kStaticSharedLimit) {
      fail(fmt::format("shared array {} of {} bytes takes the block to {} bytes, over the limit of {}", name, bytes,
                       used_, kStaticSharedLimit),
           site);
    }
    return add({key, name, begin, bytes});
  }
  void* declare_dynamic(std::size_t bytes, std::size_t launched_with, const Site& site) {
    if (bytes > launched_with) {
      fail(fmt::format("{} bytes of dynamic shared memory are used, but the kernel was launched with {}", bytes,
                       launched_with),
           site);
    }
    for (const Array& array : arrays_) {
      if (array.key == &kDynamic) return memory_.data() + array.begin;
    }
    return add({&kDynamic, "dynamic shared memory", kStaticSharedLimit, launched_with});
  }
  bool contains(const void* p) const {
    const auto* at = static_cast<const std::byte*>(p);
    return at >= memory_.data() && at < memory_.data() + memory_.size();
  }
  void check(const void* p, std::size_t bytes, const Site& site) const {
    const auto* at = static_cast<const std::byte*>(p);
    if (!contains(p)) return;
    const auto begin = static_cast<std::size_t>(at - memory_.data());
    for (const Array& array : arrays_) {
      if (begin >= array.begin && begin + bytes <= array.begin + array.bytes) return;
    }
    fail(fmt::format("a {}-byte access to shared memory crosses the end of its array", bytes), site);
  }

 private:
  struct Array {
    const void* key;
    const char* name;
    std::size_t begin;
    std::size_t bytes;
  };
  void* add(const Array& array) {
    arrays_.push_back(array);
    std::byte* const begin = memory_.data() + array.begin;
    std::memset(begin, 0xff, array.bytes);  // NaN
    if (observer) observer->shared_array(array.name, begin, array.bytes);
    return begin;
  }

  static constexpr char kDynamic = 0;  // its address is the key
  alignas(128) std::array<std::byte, kStaticSharedLimit + kSharedLimit> memory_;
  std::size_t used_ = 0;
  std::vector<Array> arrays_;
};

// Runs the blocks of one grid after the other; one per host thread.
class Multiprocessor {
 public:
  void run(const Grid& grid, void (*thread)(const void*), const void* arguments);

  const Grid& grid() const { return *grid_; }
  SharedMemory& shared() { return shared_; }
  AsyncCopies& copies() { return running_->copies; }
  bool copies_at_once() {
    return schedule.order == Order::descending || (schedule.order == Order::shuffled && random_() % 2 == 0);
  }
  void sync_block(const Site& site);
  void warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands, const Site& site);

 private:
  enum class State { ready, at_barrier, in_warp_operation, exited };
  struct Thread {
    Position position;
    State state = State::ready;
    Site site;
    // of a warp operation that waits for its other lanes
    const char* name = nullptr;
    WarpOperation operation = nullptr;
    std::uint32_t mask = 0;
    void* operands = nullptr;
    AsyncCopies copies;
  };

  // Of the lanes of a warp that wait for all others.
  struct Meeting {
    int arrived = 0;
    WarpOperation operation = nullptr;
    std::uint_least32_t line = 0;
  };
  static constexpr std::uint32_t kAllOfWarp = 0xffffffffu;

  void run_block(Turns& turns);
  void run_fibers(Turns& turns);
  void fiber_body();
  void release_barrier();
  void wait();
  [[noreturn]] void report_deadlock() const;
  std::string describe(const Thread& thread) const;

  const Grid* grid_ = nullptr;
  void (*thread_)(const void*) = nullptr;
  const void* arguments_ = nullptr;
  SharedMemory shared_;
  FiberPool fibers_;
  std::vector<Thread> threads_;
  std::vector<Meeting> meetings_;  // by warp
  Thread* running_ = nullptr;
  int at_barrier_ = 0;
  int exited_ = 0;
  std::minstd_rand random_;  // when asynchronous copies take place
  std::exception_ptr error_;
};

Multiprocessor& multiprocessor() {
  thread_local auto instance = std::make_unique<Multiprocessor>();
  return *instance;
}

void Multiprocessor::run(const Grid& grid, void (*thread)(const void*), const void* arguments) {
  const std::uint64_t threads = grid.threads.count();
  if (threads == 0 || threads > kMaxThreads || grid.blocks.count() == 0) {
    throw Failure(fmt::format("kernel {}: invalid launch of {} blocks of {} threads", grid.kernel, name_of(grid.blocks),
                              name_of(grid.threads)));
  }
  if (grid.shared_bytes > kSharedLimit || grid.cluster == 0 || grid.cluster > kMaxCluster ||
      grid.blocks.x % grid.cluster != 0) {
    throw Failure(
        fmt::format("kernel {}: invalid launch of {} blocks in clusters of {}, with {} bytes of shared memory",
                    grid.kernel, name_of(grid.blocks), grid.cluster, grid.shared_bytes));
  }
  if (current_position) throw Failure(fmt::format("kernel {}: launched from inside a kernel", grid.kernel));
  grid_ = &grid;
  thread_ = thread;
  arguments_ = arguments;
  threads_.clear();
  threads_.resize(threads);
  for (std::uint64_t i = 0; i < threads; ++i) {
    threads_[i].position = {unflatten(i, grid.threads), {}, grid.threads, grid.blocks, grid.cluster};
  }
  if (grid.synchronises) {
    fibers_.prepare(
        static_cast<int>(threads), [](void* self) { static_cast<Multiprocessor*>(self)->fiber_body(); }, this);
  }
  random_.seed(static_cast<unsigned>(schedule.seed));
  if (observer) observer->begin_grid(grid);
  Turns block_turns(grid.blocks.count());
  Turns thread_turns(threads);
  struct Leave {
    ~Leave() { current_position = nullptr; }
  } leave;
  for (const unsigned block : block_turns.next()) {
    shared_.reset();
    for (Thread& t : threads_) {
      t.position.block = unflatten(block, grid.blocks);
      t.state = State::ready;
      t.copies.clear();
    }
    run_block(thread_turns);
  }
}

void Multiprocessor::run_block(Turns& turns) {
  struct Watch {
    explicit Watch(const Extent& block) {
      if (observer) observer->begin_block(block);
    }
    ~Watch() {
      if (observer) observer->end_block();
    }
  } watch(threads_.front().position.block);
  if (grid_->synchronises) return run_fibers(turns);
  for (const unsigned i : turns.next()) {
    running_ = &threads_[i];
    current_position = &running_->position;
    thread_(arguments_);
  }
}

void Multiprocessor::run_fibers(Turns& turns) {
  at_barrier_ = exited_ = 0;
  error_ = nullptr;
  meetings_.assign((threads_.size() + kWarp - 1) / kWarp, {});
  const int count = static_cast<int>(threads_.size());
  while (exited_ < count) {
    bool progress = false;
    for (const unsigned i : turns.next()) {
      if (threads_[i].state != State::ready) continue;
      progress = true;
      running_ = &threads_[i];
      current_position = &running_->position;
      fibers_.resume(static_cast<int>(i));
      if (error_) {
        fibers_.abandon();
        std::rethrow_exception(error_);
      }
    }
    if (at_barrier_ == count) {
      release_barrier();
    } else if (!progress) {
      fibers_.abandon();
      report_deadlock();
    }
  }
}

void Multiprocessor::fiber_body() {
  try {
    thread_(arguments_);
  } catch (...) {
    error_ = std::current_exception();
  }
  running_->state = State::exited;
  ++exited_;
}

void Multiprocessor::wait() {
  Thread* self = running_;
  fibers_.suspend();
  running_ = self;
  current_position = &self->position;
}

void Multiprocessor::sync_block(const Site& site) {
  if (!grid_->synchronises) fail("a barrier in a kernel that was launched as having none", site);
  if (at_barrier_ > 0) {
    for (const Thread& other : threads_) {
      if (other.state != State::at_barrier) continue;
      if (other.site.line() != site.line() || std::strcmp(other.site.file_name(), site.file_name()) != 0) {
        fail(fmt::format("threads wait at different barriers: {}", describe(other)), site);
      }
      break;  // all that wait already wait at the same one
    }
  }
  running_->state = State::at_barrier;
  running_->site = site;
  ++at_barrier_;
  wait();
}

void Multiprocessor::release_barrier() {
  for (Thread& t : threads_) t.state = State::ready;
  at_barrier_ = 0;
  if (observer) observer->barrier();
}

void Multiprocessor::warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands,
                                     const Site& site) {
  if (!grid_->synchronises) fail(fmt::format("{} in a kernel that was launched without synchronisation", name), site);
  const auto self = static_cast<int>(running_ - threads_.data());
  const int first = self / kWarp * kWarp;
  const int lanes = std::min(kWarp, static_cast<int>(threads_.size()) - first);
  if ((mask >> (self - first) & 1u) == 0) {
    fail(fmt::format("{} with mask {:#010x}, which does not name the calling lane {}", name, mask, self - first), site);
  }
  if (lanes < kWarp && mask >> lanes != 0) {
    fail(fmt::format("{} with mask {:#010x} in a warp of {} lanes", name, mask, lanes), site);
  }
  running_->state = State::in_warp_operation;
  running_->site = site;
  running_->name = name;
  running_->operation = operation;
  running_->mask = mask;
  running_->operands = operands;

  // Lanes that follow others of the same operation, all lanes of the warp, need not look at each of them.
  Meeting& meeting = meetings_[static_cast<std::size_t>(first / kWarp)];
  const bool follows = meeting.arrived > 0 && meeting.operation == operation && meeting.line == site.line();
  if (lanes == kWarp && mask == kAllOfWarp && (meeting.arrived == 0 || follows)) {
    meeting = {meeting.arrived + 1, operation, site.line()};
    if (follows && meeting.arrived < kWarp) {
      wait();
      return;
    }
    if (meeting.arrived == kWarp) meeting.arrived = 0;
  }

  bool complete = true;
  for (int lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1u) == 0) continue;
    const Thread& other = threads_[static_cast<std::size_t>(first + lane)];
    if (other.state != State::in_warp_operation) {
      complete = false;
    } else if (other.mask != mask || other.operation != operation || other.site.line() != site.line()) {
      fail(fmt::format("{} with mask {:#010x} meets a different warp operation or mask: {}", name, mask,
                       describe(other)),
           site);
    }
  }
  if (!complete) {
    wait();
    return;
  }
  std::array<void*, kWarp> all{};
  for (int lane = 0; lane < lanes; ++lane) {
    if (mask >> lane & 1u)
      all[static_cast<std::size_t>(lane)] = threads_[static_cast<std::size_t>(first + lane)].operands;
  }
  {
    const Unobserved together;  // what one lane does here, it does for all
    operation(all.data(), mask, site);
  }
  if (observer) observer->warp_met(first, mask, operation == order_memory);
  for (int lane = 0; lane < lanes; ++lane) {
    if (mask >> lane & 1u) threads_[static_cast<std::size_t>(first + lane)].state = State::ready;
  }
}

std::string Multiprocessor::describe(const Thread& thread) const {
  const std::string who = fmt::format("thread {}", name_of(thread.position.thread));
  switch (thread.state) {
    case State::exited: return who + " has exited";
    case State::at_barrier: return fmt::format("{} waits at the barrier {}", who, name_of(thread.site));
    case State::in_warp_operation:
      return fmt::format("{} waits in {} with mask {:#010x} at {}", who, thread.name, thread.mask,
                         name_of(thread.site));
    case State::ready: break;
  }
  return who + " runs";
}

void Multiprocessor::report_deadlock() const {
  const auto find = [&](auto&& predicate) { return std::find_if(threads_.begin(), threads_.end(), predicate); };
  const auto waiting = find([](const Thread& t) { return t.state == State::at_barrier; });
  const auto other = find([&](const Thread& t) {
    return waiting != threads_.end() ? t.state != State::at_barrier : t.state == State::in_warp_operation;
  });
  const Thread& blocked = waiting != threads_.end() ? *waiting : *other;
  std::string cause = describe(blocked);
  if (waiting != threads_.end()) {
    cause += ", but " + describe(*other);
  } else {
    const auto first = (other - threads_.begin()) / kWarp * kWarp;
    for (int lane = 0; lane < kWarp && first + lane < static_cast<long>(threads_.size()); ++lane) {
      const Thread& missing = threads_[static_cast<std::size_t>(first + lane)];
      if ((blocked.mask >> lane & 1u) && missing.state != State::in_warp_operation) {
        cause += ", but " + describe(missing);
        break;
      }
    }
  }
  throw Failure(fmt::format("kernel {}, block {}: {}", grid_->kernel, name_of(blocked.position.block), cause));
}

void check_vector_access(const void* p, std::size_t bytes, const Site& site) {
  if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0)
    fail(fmt::format("a {}-byte access is not aligned", bytes), site);
  multiprocessor().shared().check(p, bytes, site);
}

int own_index() { return static_cast<int>(current_position->thread.x); }

void check_shared_access(const void* p, std::size_t bytes, const Site& site) {
  if (!multiprocessor().shared().contains(p)) fail("an access to shared memory lies elsewhere", site);
  check_vector_access(p, bytes, site);
}

}  // namespace

ScopedSchedule::ScopedSchedule(const Schedule& next) : previous_(std::exchange(schedule, next)) {}
ScopedSchedule::~ScopedSchedule() { schedule = previous_; }

void run_grid(const Grid& grid, void (*thread)(const void*), const void* arguments) {
  multiprocessor().run(grid, thread, arguments);
}

void sync_block(const Site& site) { multiprocessor().sync_block(site); }

void warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands, const Site& site) {
  multiprocessor().warp_collective(name, operation, mask, operands, site);
}

void* shared_memory(const void* key, const char* name, std::size_t bytes, const Site& site) {
  return multiprocessor().shared().declare(key, name, bytes, site);
}

void* dynamic_shared_memory(std::size_t bytes, const Site& site) {
  return multiprocessor().shared().declare_dynamic(bytes, multiprocessor().grid().shared_bytes, site);
}

void sync_warp(std::uint32_t mask, const Site& site) {
  multiprocessor().warp_collective("sync_warp", order_memory, mask, nullptr, site);
}

void load_vector(void* to, const void* from, std::size_t bytes, const Site& site) {
  check_vector_access(from, bytes, site);
  announce(Access::load, from, bytes, site);
  std::memcpy(to, from, bytes);
}

void store_vector(void* to, const void* from, std::size_t bytes, const Site& site) {
  check_vector_access(to, bytes, site);
  announce(Access::store, to, bytes, site);
  std::memcpy(to, from, bytes);
}

void announce_matrix_row(const void* row, const Site& site) {
  check_shared_access(row, kMatrixRow, site);
  announce(Access::load, row, kMatrixRow, site);
}

void copy_async(void* shared, const void* global, bool valid, const Site& site) {
  constexpr std::size_t bytes = 16;
  check_shared_access(shared, bytes, site);
  announce(Access::store, shared, bytes, site);
  if (observer) observer->copy_begun(own_index(), shared);
  if (valid) {
    check_vector_access(global, bytes, site);
    announce(Access::load, global, bytes, site);
  }
  multiprocessor().copies().issue(shared, valid ? global : nullptr, bytes, multiprocessor().copies_at_once());
}

void commit_copies() {
  multiprocessor().copies().commit();
  if (observer) observer->copies_committed(own_index());
}

void wait_copies(int pending) {
  multiprocessor().copies().wait(static_cast<std::size_t>(pending));
  if (observer) observer->copies_awaited(own_index(), pending);
}

void fail(const std::string& what, const Site& site) {
  const Position& at = *current_position;
  throw Failure(fmt::format("kernel {}, block {}, thread {}, {}: {}", multiprocessor().grid().kernel, name_of(at.block),
                            name_of(at.thread), name_of(site), what));
}

}  // namespace lfm::simt
