// Runs item(0) … item(count-1), each by one thread. Items must not write what another item reads, so the result doesn't
// depend on the number of threads.
#pragma once

#include <algorithm>
#include <thread>
#include <vector>

#include "src/machine/cores.h"

namespace lfm::reference {

template <typename Item>
void parallel_for(int count, const Item& item) {
  const int threads = std::min(usable_cores(), std::max(count, 1));
  std::vector<std::jthread> others;
  const auto every_nth = [&](int first) {
    for (int i = first; i < count; i += threads) item(i);
  };
  for (int t = 1; t < threads; ++t) others.emplace_back(every_nth, t);
  every_nth(0);
}

}  // namespace lfm::reference
