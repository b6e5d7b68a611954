// For as long as it lives, the calling thread, and the threads it starts, may use one core.
#pragma once

#include <sched.h>

namespace lfm::test {

class BoundToOneCore {
 public:
  BoundToOneCore() {
    sched_getaffinity(0, sizeof all_, &all_);
    int core = 0;
    while (core < CPU_SETSIZE && !CPU_ISSET(core, &all_)) ++core;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~BoundToOneCore() { sched_setaffinity(0, sizeof all_, &all_); }
  BoundToOneCore(const BoundToOneCore&) = delete;
  BoundToOneCore& operator=(const BoundToOneCore&) = delete;

  int cores_before() const { return CPU_COUNT(&all_); }

 private:
  cpu_set_t all_;
};

}  // namespace lfm::test
