#include "kernels/simt/async_copies.h"

#include <cstring>
#include <utility>

namespace lfm::simt {

void AsyncCopies::complete(const Copy& copy) {
  if (copy.from) {
    std::memcpy(copy.to, copy.from, copy.bytes);
  } else {
    std::memset(copy.to, 0, copy.bytes);
  }
}

void AsyncCopies::issue(void* to, const void* from, std::size_t bytes, bool at_once) {
  const Copy copy{to, from, bytes};
  if (at_once) {
    complete(copy);
  } else {
    open_.push_back(copy);
  }
}

void AsyncCopies::commit() { groups_.push_back(std::exchange(open_, {})); }

void AsyncCopies::wait(std::size_t pending) {
  while (groups_.size() > pending) {
    for (const Copy& copy : groups_.front()) complete(copy);
    groups_.erase(groups_.begin());
  }
}

void AsyncCopies::clear() {
  open_.clear();
  groups_.clear();
}

}  // namespace lfm::simt
