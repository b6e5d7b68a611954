#include "kernels/simt/check/memory_checker.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "kernels/simt/check/source_line.h"
#include "kernels/simt/check/traffic.h"
#include "lfm/error.h"

extern "C" const char __executable_start, end;  // of the program in memory

namespace lfm::simt {

namespace {

std::uintptr_t number(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

std::string name_of(const Extent& e) { return fmt::format("({}, {}, {})", e.x, e.y, e.z); }

struct Range {
  std::uintptr_t begin, end;
  bool contains(std::uintptr_t p) const { return p >= begin && p < end; }
};

Range host_stack() {
  pthread_attr_t attributes;
  void* lowest = nullptr;
  std::size_t bytes = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &lowest, &bytes);
    pthread_attr_destroy(&attributes);
  }
  return {number(lowest), number(lowest) + bytes};
}

// Memory of the emulation and of the program itself, where a kernel's own variables, arguments and constants
// lie.
bool is_private(std::uintptr_t p) {
  static thread_local const Range host = host_stack();
  constexpr std::uintptr_t fiber_stack = 256 * 1024;
  const std::uintptr_t frame = number(__builtin_frame_address(0)), position = number(current_position);
  return host.contains(p) || Range{frame - fiber_stack, frame + fiber_stack}.contains(p) ||
         Range{number(&__executable_start), number(&end)}.contains(p) ||
         Range{position, position + sizeof(Position)}.contains(p) || p == number(&current_position) ||
         p == number(&observer);
}

}  // namespace

MemoryChecker::MemoryChecker() {
  if (observer) throw Error(ErrorCode::usage, "another memory checker watches this thread");
  observer = this;
}

MemoryChecker::~MemoryChecker() { observer = nullptr; }

void MemoryChecker::add_array(const std::string& name, const void* begin, std::size_t bytes, Contents contents) {
  arrays_.push_back({name, number(begin), bytes, std::vector<std::uint32_t>(bytes), std::vector<std::uint32_t>(bytes)});
  if (contents == Contents::unwritten) arrays_.back().unwritten.assign(bytes, true);
}

void MemoryChecker::remove_array(const void* begin) {
  std::erase_if(arrays_, [&](const Array& a) { return a.begin == number(begin); });
}

void MemoryChecker::begin_grid(const Grid& grid) {
  grid_ = grid;
  block_number_ = 0;
  kernel_ = &counters_[grid.kernel];
  reported_.clear();
  for (Array& array : arrays_) {
    std::fill(array.stored.begin(), array.stored.end(), 0u);
    std::fill(array.loaded.begin(), array.loaded.end(), 0u);
  }
}

void MemoryChecker::begin_block(const Extent& block) {
  block_ = block;
  ++block_number_;
  shared_.clear();
  threads_.resize(grid_.threads.count());
  calls_.assign(threads_.size(), {0});
  copies_.assign(threads_.size(), {});
}

void MemoryChecker::end_block() { finish_stretch(); }

void MemoryChecker::barrier() { finish_stretch(); }

void MemoryChecker::shared_array(const char* name, const void* begin, std::size_t bytes) {
  shared_.push_back({name, number(begin), bytes, std::vector<std::uint32_t>(bytes), std::vector<std::uint32_t>(bytes)});
}

void MemoryChecker::warp_met(int first_thread, std::uint32_t mask, bool orders_memory) {
  const std::size_t first = static_cast<std::size_t>(first_thread),
                    lanes = std::min<std::size_t>(kWarp, threads_.size() - first);
  const auto has = [&](std::size_t lane) { return (mask >> lane & 1u) != 0; };
  const bool whole = mask == (lanes == kWarp ? 0xffffffffu : (1u << lanes) - 1);
  std::array<std::uint32_t, kWarp> known{};
  for (std::size_t lane = 0; lane < lanes && orders_memory; ++lane) {
    ThreadLog& log = threads_[first + lane];
    if (log.passed.empty()) log.passed.push_back({});
    if (!has(lane)) continue;
    for (std::size_t i = 0; i < kWarp; ++i) known[i] = std::max(known[i], log.passed.back()[i] + (i == lane ? 1u : 0u));
  }
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    if (whole) ++threads_[first + lane].convergence;
    if (orders_memory && has(lane)) threads_[first + lane].passed.push_back(known);
  }
}

// For each byte of shared memory, how many asynchronous copies to it have begun and not been waited for.
std::uint32_t* MemoryChecker::under_way(std::uintptr_t p) {
  Array* const array = find(shared_, p);
  return array ? &array->loaded[p - array->begin] : nullptr;
}

void MemoryChecker::copy_begun(int thread, const void* p) {
  const auto& records = threads_[static_cast<std::size_t>(thread)].records;
  if (records.empty() || records.back().address != number(p) || records.back().space != Space::shared) return;
  copies_[static_cast<std::size_t>(thread)].open.push_back(records.back());
  std::uint32_t* const count = under_way(number(p));
  for (int i = 0; i < records.back().bytes; ++i) ++count[i];
}

void MemoryChecker::copies_committed(int thread) {
  Copies& copies = copies_[static_cast<std::size_t>(thread)];
  copies.groups.push_back(std::exchange(copies.open, {}));
}

void MemoryChecker::copies_awaited(int thread, int pending) {
  Copies& copies = copies_[static_cast<std::size_t>(thread)];
  ThreadLog& log = threads_[static_cast<std::size_t>(thread)];
  if (log.passed.empty()) log.passed.push_back({});
  while (copies.groups.size() > static_cast<std::size_t>(pending)) {
    for (AccessRecord& copy : copies.groups.front()) {
      std::uint32_t* const count = under_way(copy.address);
      for (int i = 0; i < copy.bytes; ++i) --count[i];
      copy.clock = static_cast<std::uint32_t>(log.passed.size() - 1);
      copy.requested = false;
      log.records.push_back(copy);
    }
    copies.groups.erase(copies.groups.begin());
  }
}

// What it reads lies in one array, what it writes counts as stored; the emulation itself looks after its order.
void MemoryChecker::bulk_copy(int thread, const void* to, const void* from, std::size_t bytes, const Site& site) {
  const Array* const global = find(arrays_, number(from));
  if (!global || !global->contains(number(from) + bytes - 1)) {
    AccessRecord record{};
    record.address = number(from), record.file = site.file_name(), record.line = site.line(), record.bytes = 16;
    return report(FindingKind::out_of_bounds, record, thread, "from where a bulk copy leaves its array");
  }
  if (Array* const shared = find(shared_, number(to))) {
    const auto first = shared->stored.begin() + static_cast<std::ptrdiff_t>(number(to) - shared->begin);
    std::fill(first, first + static_cast<std::ptrdiff_t>(bytes), 1u);
  }
}

void MemoryChecker::enter_function(int thread, const void* caller) {
  auto& calls = calls_[static_cast<std::size_t>(thread)];
  calls.push_back(mix(calls.back(), number(caller)));
}

void MemoryChecker::leave_function(int thread) {
  auto& calls = calls_[static_cast<std::size_t>(thread)];
  if (calls.size() > 1) calls.pop_back();
}

MemoryChecker::Array* MemoryChecker::find(std::vector<Array>& arrays, std::uintptr_t p) {
  for (Array& array : arrays) {
    if (array.contains(p)) return &array;
  }
  return nullptr;
}

void MemoryChecker::access(int thread, Access kind, const void* p, std::size_t bytes, const Site* site,
                           const void* instruction) {
  Array* const in_shared = find(shared_, number(p));
  Array* const in_global = in_shared ? nullptr : find(arrays_, number(p));
  if (!in_shared && !in_global && is_private(number(p))) return;

  ThreadLog& log = threads_[static_cast<std::size_t>(thread)];
  if (log.passed.empty()) log.passed.push_back({});
  std::uint64_t id = calls_[static_cast<std::size_t>(thread)].back();
  id = site ? mix(mix(mix(id, static_cast<std::uint64_t>(kind)), std::hash<std::string_view>{}(site->file_name())),
                  std::uint64_t{site->line()} << 32 | site->column())
            : mix(id, number(instruction));
  const AccessRecord record{number(p),
                            id,
                            instruction,
                            site ? site->file_name() : nullptr,
                            site ? site->line() : 0,
                            static_cast<std::uint32_t>(log.passed.size() - 1),
                            log.convergence,
                            static_cast<std::uint8_t>(bytes),
                            kind,
                            in_shared ? Space::shared : Space::global};
  if (!in_shared && (!in_global || !in_global->contains(record.address + bytes - 1))) {
    return report(FindingKind::out_of_bounds, record, thread, "outside every array the kernel was given");
  }
  log.records.push_back(record);
  if (in_shared) {
    check_shared(*in_shared, record, thread);
  } else {
    check_other_blocks(*in_global, record, thread);
  }
}

void MemoryChecker::check_shared(Array& array, const AccessRecord& record, int thread) {
  const std::size_t first = record.address - array.begin, last = std::min(first + record.bytes, array.bytes);
  for (std::size_t i = first; i < last; ++i) {
    if (array.loaded[i])
      return report(FindingKind::race, record, thread, "while an asynchronous copy to it is under way");
    if (record.kind == Access::store) {
      array.stored[i] = 1;
    } else if (!array.stored[i]) {
      return report(FindingKind::uninitialised, record, thread, "which no thread of the block has stored to");
    }
  }
}

void MemoryChecker::check_other_blocks(Array& array, const AccessRecord& record, int thread) {
  const std::size_t first = record.address - array.begin;
  const auto is_other = [&](std::uint32_t block) { return block != 0 && block != block_number_; };
  for (std::size_t i = first; i < first + record.bytes; ++i) {
    if (is_other(array.stored[i]) || (record.kind == Access::store && is_other(array.loaded[i]))) {
      return report(FindingKind::race, record, thread,
                    is_other(array.stored[i]) ? "which another block stores to" : "which another block loads");
    }
    (record.kind == Access::store ? array.stored : array.loaded)[i] = block_number_;
    if (array.unwritten.empty()) continue;
    if (record.kind == Access::load && array.unwritten[i]) {
      return report(FindingKind::uninitialised, record, thread, "which nothing has stored to");
    }
    if (record.kind == Access::store) array.unwritten[i] = false;
  }
}

// Everything since the last barrier, before it is forgotten.
void MemoryChecker::finish_stretch() {
  find_races(threads_, [this](const Race& race) {
    report(FindingKind::race, *race.record, race.thread,
           fmt::format("unordered with thread {}, which {} it at {}", race.other_thread,
                       race.other->kind == Access::store ? "stores to" : "loads",
                       source_line(race.other->pc, race.other->file, race.other->line)));
  });
  for (std::size_t first = 0; first < threads_.size(); first += kWarp) count_requests(first);
  for (ThreadLog& log : threads_) {
    log.records.clear();
    log.passed.clear();
    log.convergence = 0;
  }
}

void MemoryChecker::count_requests(std::size_t first_thread) {
  struct Entry {
    std::tuple<std::uint32_t, std::uint64_t, std::uint32_t> request;  // stretch, instruction, ordinal
    const AccessRecord* record;
    int lane;
  };
  std::vector<Entry> entries;
  for (std::size_t lane = 0; lane < kWarp && first_thread + lane < threads_.size(); ++lane) {
    std::unordered_map<std::uint64_t, std::uint32_t> executed;
    for (const AccessRecord& r : threads_[first_thread + lane].records) {
      if (!r.requested) continue;
      entries.push_back(
          {{r.convergence, r.instruction, executed[mix(r.instruction, r.convergence)]++}, &r, static_cast<int>(lane)});
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.request < b.request; });

  std::vector<LaneAccess> lanes;
  for (auto entry = entries.begin(); entry != entries.end();) {
    const AccessRecord& first = *entry->record;
    lanes.clear();
    const auto request = entry->request;
    for (; entry != entries.end() && entry->request == request; ++entry) {
      lanes.push_back({entry->lane, entry->record->address, entry->record->bytes});
    }
    const Cost cost = first.space == Space::global ? sectors_of(lanes) : wavefronts_of(lanes);
    Requests& requests = kernel_->of[static_cast<int>(first.space)][static_cast<int>(first.kind)];
    ++requests.count;
    requests.taken += cost.taken;
    requests.least += cost.least;
  }
}

void MemoryChecker::report(FindingKind kind, const AccessRecord& record, int thread, const std::string& what) {
  constexpr std::size_t most = 100;
  if (findings_.size() >= most || !reported_.insert({kind, record.instruction}).second) return;
  findings_.push_back({kind, fmt::format("kernel {}, block {}, thread {}, {}: {} {} bytes {}, {}", grid_.kernel,
                                         name_of(block_), thread, source_line(record.pc, record.file, record.line),
                                         record.kind == Access::store ? "stores" : "loads", record.bytes,
                                         place_of(record.address), what)});
}

std::string MemoryChecker::place_of(std::uintptr_t p) const {
  for (const auto* arrays : {&shared_, &arrays_}) {
    for (const Array& a : *arrays) {
      if (a.contains(p))
        return fmt::format("at byte {} of {}{}", p - a.begin, arrays == &shared_ ? "shared array " : "", a.name);
    }
  }
  const auto distance = [&](const Array& a) { return p < a.begin ? a.begin - p : p - (a.begin + a.bytes); };
  const auto nearest = std::min_element(arrays_.begin(), arrays_.end(),
                                        [&](const Array& a, const Array& b) { return distance(a) < distance(b); });
  if (nearest == arrays_.end()) return "of unknown memory";
  return fmt::format("{} bytes {} {} ({} bytes)", distance(*nearest), p < nearest->begin ? "before" : "past the end of",
                     nearest->name, nearest->bytes);
}

}  // namespace lfm::simt
