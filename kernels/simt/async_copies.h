// The asynchronous copies (cp.async) that one emulated thread has under way. A device completes each at some moment
// between its issue and the wait that covers it; here that moment is one of the two ends: a missing wait shows when all
// are late, a buffer that is overwritten too early when all are at once.
#pragma once

#include <cstddef>
#include <vector>

namespace lfm::simt {

class AsyncCopies {
 public:
  /// from null: zeros.
  void issue(void* to, const void* from, std::size_t bytes, bool at_once);
  /// Closes the group of all copies issued since the last one.
  void commit();
  /// Completes all but the `pending` latest groups.
  void wait(std::size_t pending);
  void clear();

 private:
  struct Copy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  static void complete(const Copy& copy);
  std::vector<Copy> open_;
  std::vector<std::vector<Copy>> groups_;  // the oldest first
};

}  // namespace lfm::simt
