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

#include "kernels/simt/async_groups.h"
#include "kernels/simt/async_proxy.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/observer.h"
#include "kernels/simt/shared_memory.h"

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

constexpr std::uint8_t kInitialised = 0x5a;  // of a barrier

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

// Runs the blocks of one grid after the other; one per host thread.
class Multiprocessor {
 public:
  void run(const Grid& grid, void (*thread)(const void*), const void* arguments);

  const Grid& grid() const { return *grid_; }
  SharedMemory& shared() { return shared_; }
  bool at_once() {
    return schedule.order == Order::descending || (schedule.order == Order::shuffled && random_() % 2 == 0);
  }
  void copy_async(void* shared, const void* global, std::size_t bytes);
  void commit_copies() { running_->copies.commit(); }
  void wait_copies(std::size_t pending);
  void begin_products() { running_->may_multiply = true; }
  void issue_product(const Product& product, int rows, int columns, const Site& site);
  void commit_products() { running_->products.commit(); }
  void wait_products(std::size_t pending);
  void fence_async_proxy() { ++running_->fences; }
  void init_barrier(Barrier& barrier);
  void copy_bulk(const AsyncCopy& copy, Barrier& barrier, const Site& site);
  void wait_barrier(Barrier& barrier, unsigned parity, const Site& site);
  void sync_block(const Site& site);
  void warp_collective(const char* name, WarpOperation operation, std::uint32_t mask, void* operands, const Site& site);

 private:
  enum class State { ready, at_barrier, in_warp_operation, awaiting_bytes, exited };
  struct Thread {
    Position position;
    State state = State::ready;
    Site site;
    // of a warp operation that waits for its other lanes
    const char* name = nullptr;
    WarpOperation operation = nullptr;
    std::uint32_t mask = 0;
    void* operands = nullptr;
    AsyncGroups<AsyncCopy> copies;
    AsyncGroups<Product, true> products;
    bool may_multiply = false;
    std::uint32_t fences = 0;  // between its stores and the async proxy
    // of a phase that it waits for
    Barrier* barrier = nullptr;
    unsigned parity = 0;
  };
  struct BulkCopy {
    AsyncCopy copy;
    Barrier* barrier;
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
  int running() const { return static_cast<int>(running_ - threads_.data()); }
  void check_async(const void* p, const Site& site);
  bool has_ended(Barrier& barrier, unsigned parity);
  void require_nothing_under_way() const;
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
  std::vector<Meeting> meetings_;      // by warp
  std::vector<BulkCopy> bulk_copies_;  // under way
  Thread* running_ = nullptr;
  int at_barrier_ = 0;
  int exited_ = 0;
  std::minstd_rand random_;  // when asynchronous work takes place
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

void Multiprocessor::check_async(const void* p, const Site& site) {
  shared_.check_async(
      p, [&](int thread) { return threads_[static_cast<std::size_t>(thread)].fences; }, site);
}

void Multiprocessor::issue_product(const Product& product, int rows, int columns, const Site& site) {
  if (!running_->may_multiply) fail("a product without begin_products() since the last wait", site);
  const auto check_row = [&](const Matrix& m, int row) {
    for (int chunk = 0; chunk < 2; ++chunk) {
      const std::byte* const p = m.chunk(row, chunk);
      if (!shared_.contains(p)) fail("a matrix of a product lies outside of shared memory", site);
      shared_.check(p, 16, site);
      check_async(p, site);
    }
  };
  // A warp's lanes share out what they read: its rows of a, and all of b.
  const int lane = product.thread % kWarp, of_warp = rows / 4;
  for (int row = lane; row < of_warp && !product.registers; row += kWarp)
    check_row(product.a, product.thread / kWarp * of_warp + row);
  for (int column = lane; column < columns; column += kWarp) check_row(product.b, column);
  const Unobserved reads;
  running_->products.issue(product, at_once());
}

void Multiprocessor::wait_products(std::size_t pending) {
  const Unobserved reads;
  running_->products.wait(pending, [](const Product&) {});
  running_->may_multiply = false;  // something may touch the sums now
}

void Multiprocessor::init_barrier(Barrier& barrier) {
  barrier = {.bytes = 0, .initialised = kInitialised, .expecting = 0, .phases = 0, .unused = 0};
  shared_.wrote(&barrier, running(), running_->fences);
}

void Multiprocessor::copy_bulk(const AsyncCopy& copy, Barrier& barrier, const Site& site) {
  check_async(&barrier, site);
  for (std::size_t i = 0; i < copy.bytes; i += 16) check_async(static_cast<std::byte*>(copy.to) + i, site);
  bulk_copies_.push_back({copy, &barrier});
  if (at_once()) static_cast<void>(has_ended(barrier, 0));
}

// All copies to the barrier take place now at the latest.
bool Multiprocessor::has_ended(Barrier& barrier, unsigned parity) {
  for (const BulkCopy& bulk : bulk_copies_) {
    if (bulk.barrier != &barrier) continue;
    bulk.copy.run();
    barrier.bytes -= static_cast<std::int32_t>(bulk.copy.bytes);
  }
  std::erase_if(bulk_copies_, [&](const BulkCopy& bulk) { return bulk.barrier == &barrier; });
  if (barrier.expecting != 0 && barrier.bytes == 0) {
    barrier.expecting = 0;
    barrier.phases ^= 1;
  }
  return barrier.phases != parity;
}

void Multiprocessor::wait_barrier(Barrier& barrier, unsigned parity, const Site& site) {
  if (barrier.phases != parity || has_ended(barrier, parity)) return;
  running_->state = State::awaiting_bytes;
  running_->site = site;
  running_->barrier = &barrier;
  running_->parity = parity;
  wait();
}

void Multiprocessor::require_nothing_under_way() const {
  const bool products =
      std::any_of(threads_.begin(), threads_.end(), [](const Thread& t) { return !t.products.empty(); });
  if (!products && bulk_copies_.empty()) return;
  throw Failure(fmt::format("kernel {}, block {}: ends with {} under way", grid_->kernel,
                            name_of(threads_.front().position.block), products ? "products" : "bulk copies"));
}

void check_vector_access(const void* p, std::size_t bytes, const Site& site) {
  if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0)
    fail(fmt::format("a {}-byte access is not aligned", bytes), site);
  multiprocessor().shared().check(p, bytes, site);
}

void check_barrier(const Barrier& barrier, const Site& site) {
  if (!multiprocessor().shared().contains(&barrier)) fail("a barrier lies outside of shared memory", site);
  if (barrier.initialised != kInitialised) fail("a barrier that nobody has initialised", site);
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

void begin_products() { multiprocessor().begin_products(); }
void issue_product(const Product& product, int rows, int columns, const Site& site) {
  multiprocessor().issue_product(product, rows, columns, site);
}
void commit_products() { multiprocessor().commit_products(); }
void wait_products(int pending) { multiprocessor().wait_products(static_cast<std::size_t>(pending)); }

void fence_async_proxy() { multiprocessor().fence_async_proxy(); }

void init_barrier(Barrier& barrier, const Site& site) {
  if (!multiprocessor().shared().contains(&barrier)) fail("a barrier lies outside of shared memory", site);
  multiprocessor().init_barrier(barrier);
}

void expect_bytes(Barrier& barrier, unsigned bytes, const Site& site) {
  check_barrier(barrier, site);
  if (barrier.expecting != 0) fail("a barrier's phase that expects its bytes already", site);
  barrier.expecting = 1;
  barrier.bytes += static_cast<std::int32_t>(bytes);
}

void copy_bulk(void* shared, const void* global, unsigned bytes, Barrier& barrier, const Site& site) {
  constexpr std::size_t unit = 16;
  check_barrier(barrier, site);
  check_shared_access(shared, unit, site);
  check_vector_access(global, unit, site);
  if (bytes % unit != 0) fail("a bulk copy of " + std::to_string(bytes) + " bytes", site);
  multiprocessor().shared().check(shared, bytes, site);
  if (observer) observer->bulk_copy(own_index(), shared, global, bytes, site);
  multiprocessor().copy_bulk({shared, global, bytes}, barrier, site);
}

void wait_barrier(Barrier& barrier, unsigned parity, const Site& site) {
  check_barrier(barrier, site);
  multiprocessor().wait_barrier(barrier, parity, site);
}

void fail(const std::string& what, const Site& site) {
  const Position& at = *current_position;
  throw Failure(fmt::format("kernel {}, block {}, thread {}, {}: {}", multiprocessor().grid().kernel, name_of(at.block),
                            name_of(at.thread), name_of(site), what));
}

}  // namespace lfm::simt
