// What one emulated thread has under way of a kind: copies (cp.async), or a warpgroup's products (wgmma). A device
// completes each at some moment between its issue and the wait that covers it; here that moment is one of the two ends:
// a missing wait shows when all are late, a buffer that is overwritten too early when all are late or all at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

namespace lfm::simt {

struct AsyncCopy {
  void* to;
  const void* from;  ///< null: zeros
  std::size_t bytes;
  void run() const {
    if (from) {
      std::memcpy(to, from, bytes);
    } else {
      std::memset(to, 0, bytes);
    }
  }
};

/// kInOrder: none takes place before those that were issued before it.
template <typename Work, bool kInOrder = false>
class AsyncGroups {
 public:
  void issue(const Work& work, bool at_once) {
    open_.push_back({work});
    if (!at_once) return;
    if constexpr (kInOrder) {
      for (auto& group : groups_) complete(group);
      complete(open_);
    } else {
      open_.back().complete();
    }
  }
  /// Closes the group of everything issued since the last one.
  void commit() { groups_.push_back(std::exchange(open_, {})); }
  /// Completes all but the `pending` latest groups, and tells of each work: completed(work).
  template <typename Completed>
  void wait(std::size_t pending, Completed completed) {
    while (groups_.size() > pending) {
      complete(groups_.front());
      for (const Item& item : groups_.front()) completed(item.work);
      groups_.erase(groups_.begin());
    }
  }
  void clear() {
    open_.clear();
    groups_.clear();
  }
  bool empty() const {
    for (const auto& group : groups_) {
      if (!group.empty()) return false;
    }
    return open_.empty();
  }

 private:
  struct Item {
    Work work;
    bool done = false;
    void complete() {
      if (!std::exchange(done, true)) work.run();
    }
  };
  static void complete(std::vector<Item>& items) {
    for (Item& item : items) item.complete();
  }
  std::vector<Item> open_;
  std::vector<std::vector<Item>> groups_;  // the oldest first
};

}  // namespace lfm::simt
