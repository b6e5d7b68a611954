#include "kernels/simt/check/access_log.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace lfm::simt {

namespace {

constexpr std::uintptr_t kWord = 4;

struct Touch {
  std::uintptr_t word;
  int thread;
  const AccessRecord* record;
};

template <typename Use>
void for_each_word(const AccessRecord& record, Use use) {
  for (std::uintptr_t w = record.address / kWord; w * kWord < record.address + record.bytes; ++w) use(w);
}

bool overlap(const AccessRecord& a, const AccessRecord& b) {
  return a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

bool comes_before(const ThreadLog& later_thread, const Touch& earlier, const Touch& later) {
  return later_thread.passed[later.record->clock][static_cast<std::size_t>(earlier.thread % kWarp)] >
         earlier.record->clock;
}

}  // namespace

void find_races(const std::vector<ThreadLog>& threads, const std::function<void(const Race&)>& report) {
  std::unordered_set<std::uintptr_t> stored;
  for (const ThreadLog& log : threads) {
    for (const AccessRecord& r : log.records) {
      if (r.kind == Access::store) for_each_word(r, [&](std::uintptr_t w) { stored.insert(w); });
    }
  }
  if (stored.empty()) return;

  std::vector<Touch> touches;
  for (std::size_t t = 0; t < threads.size(); ++t) {
    for (const AccessRecord& r : threads[t].records) {
      for_each_word(r, [&](std::uintptr_t w) {
        if (stored.contains(w)) touches.push_back({w, static_cast<int>(t), &r});
      });
    }
  }
  std::stable_sort(touches.begin(), touches.end(), [](const Touch& a, const Touch& b) { return a.word < b.word; });

  std::set<std::pair<std::uint64_t, std::uint64_t>> reported;
  for (auto begin = touches.begin(); begin != touches.end();) {
    const auto end = std::find_if(begin, touches.end(), [&](const Touch& t) { return t.word != begin->word; });
    for (auto a = begin; a != end; ++a) {
      if (a->record->kind != Access::store) continue;
      for (auto b = begin; b != end; ++b) {
        if (b->thread == a->thread || !overlap(*a->record, *b->record)) continue;
        if (a->thread / kWarp == b->thread / kWarp) {
          const auto at = [&](const Touch& t) -> const ThreadLog& {
            return threads[static_cast<std::size_t>(t.thread)];
          };
          if (comes_before(at(*b), *a, *b) || comes_before(at(*a), *b, *a)) continue;
        }
        if (!reported.insert(std::minmax(a->record->instruction, b->record->instruction)).second) continue;
        report({a->thread, b->thread, a->record, b->record});
      }
    }
    begin = end;
  }
}

}  // namespace lfm::simt
