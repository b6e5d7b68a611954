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

#include "kernels/simt/multiprocessor.h"

namespace lfm::simt {

thread_local constinit const Position* current_position = nullptr;
thread_local constinit Observer* observer = nullptr;

namespace {

thread_local constinit Schedule schedule;

// The warp operation of sync_warp: nothing but the meeting.
void order_memory(void* const*, std::uint32_t, const Site&) {}

Extent unflatten(std::uint64_t index, const Extent& extent) {
  return {static_cast<unsigned>(index % extent.x), static_cast<unsigned>(index / extent.x % extent.y),
          static_cast<unsigned>(index / extent.x / extent.y)};
}

}  // namespace

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

thread_local constinit Multiprocessor* own_multiprocessor = nullptr;

Multiprocessor& make_multiprocessor() {
  thread_local const auto instance = std::make_unique<Multiprocessor>();
  own_multiprocessor = instance.get();
  return *instance;
}

bool Multiprocessor::at_once() {
  return schedule.order == Order::descending || (schedule.order == Order::shuffled && random_() % 2 == 0);
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
      t.products.clear();
      t.may_multiply = false;
      t.fences = 0;
    }
    bulk_copies_.clear();
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
      Thread& t = threads_[i];
      if (t.state == State::awaiting_bytes && has_ended(*t.barrier, t.parity)) t.state = State::ready;
      if (t.state != State::ready) continue;
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
  require_nothing_under_way();
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
  if (at_barrier_ == 0) {
    first_at_barrier_ = running_;
  } else if (const Site& other = first_at_barrier_->site;
             other.line() != site.line() || std::strcmp(other.file_name(), site.file_name()) != 0) {
    fail(fmt::format("threads wait at different barriers: {}", describe(*first_at_barrier_)), site);
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
  const int self = running();
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
    case State::awaiting_bytes:
      return fmt::format("{} waits for {} bytes at {}", who, thread.barrier->bytes, name_of(thread.site));
    case State::ready: break;
  }
  return who + " runs";
}

void Multiprocessor::report_deadlock() const {
  const auto find = [&](auto&& predicate) { return std::find_if(threads_.begin(), threads_.end(), predicate); };
  const auto waiting = find([](const Thread& t) { return t.state == State::at_barrier; });
  const auto other = find([&](const Thread& t) {
    return waiting != threads_.end() ? t.state != State::at_barrier : t.state != State::exited;
  });
  const Thread& blocked = waiting != threads_.end() ? *waiting : *other;
  std::string cause = describe(blocked);
  if (waiting != threads_.end()) {
    cause += ", but " + describe(*other);
  } else if (other->state == State::in_warp_operation) {
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

void Multiprocessor::copy_async(void* shared, const void* global, std::size_t bytes) {
  running_->copies.issue({shared, global, bytes}, at_once());
  shared_.wrote(shared, running(), SharedMemory::kUnderWay);
}

void Multiprocessor::wait_copies(std::size_t pending) {
  running_->copies.wait(pending, [&](const AsyncCopy& copy) { shared_.wrote(copy.to, running(), running_->fences); });
}

void check_vector_access(const void* p, std::size_t bytes, const Site& site) {
  if ((reinterpret_cast<std::uintptr_t>(p) & (bytes - 1)) != 0)  // a power of two
    fail(fmt::format("a {}-byte access is not aligned", bytes), site);
  multiprocessor().shared().check(p, bytes, site);
}

int own_index() { return static_cast<int>(current_position->thread.x); }

void check_shared_access(const void* p, std::size_t bytes, const Site& site) {
  if (!multiprocessor().shared().contains(p)) fail("an access to shared memory lies elsewhere", site);
  check_vector_access(p, bytes, site);
}

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

// Of a constant size a copy is two instructions.
static void copy_vector(void* to, const void* from, std::size_t bytes) {
  if (bytes == 16) {
    std::memcpy(to, from, 16);
  } else {
    std::memcpy(to, from, bytes);
  }
}

void load_vector(void* to, const void* from, std::size_t bytes, const Site& site) {
  check_vector_access(from, bytes, site);
  announce(Access::load, from, bytes, site);
  copy_vector(to, from, bytes);
}

void store_vector(void* to, const void* from, std::size_t bytes, const Site& site) {
  check_vector_access(to, bytes, site);
  announce(Access::store, to, bytes, site);
  copy_vector(to, from, bytes);
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
  multiprocessor().copy_async(shared, valid ? global : nullptr, bytes);
}

void commit_copies() {
  multiprocessor().commit_copies();
  if (observer) observer->copies_committed(own_index());
}

void wait_copies(int pending) {
  multiprocessor().wait_copies(static_cast<std::size_t>(pending));
  if (observer) observer->copies_awaited(own_index(), pending);
}

void fail(const std::string& what, const Site& site) {
  const Position& at = *current_position;
  throw Failure(fmt::format("kernel {}, block {}, thread {}, {}: {}", multiprocessor().grid().kernel, name_of(at.block),
                            name_of(at.thread), name_of(site), what));
}

}  // namespace lfm::simt
