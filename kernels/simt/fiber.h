// A pool of fibers (Boost.Context): one per CUDA thread of a block, kept from block to block.
// Switches are announced to AddressSanitizer and ThreadSanitizer.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <memory>
#include <vector>

namespace lfm::simt {

/// What a fiber runs each time it is started anew; must not throw.
using FiberBody = void (*)(void* argument);

class FiberPool {
 public:
  FiberPool();
  ~FiberPool();
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;

  /// Fibers 0 ... count-1 exist afterwards and run body(argument) from its start at their next resume().
  void prepare(int count, FiberBody body, void* argument);
  /// Runs the fiber until it suspends or its body returns. From the scheduler only.
  void resume(int index);
  /// Returns to the scheduler. From the running fiber only.
  void suspend();
  /// Forgets what suspended fibers were doing; their frames are not unwound.
  void abandon();

 private:
  struct Fiber;
  struct Stacks;
  static void entry(boost::context::detail::transfer_t transfer);
  void rewind(Fiber& fiber);

  std::vector<std::unique_ptr<Stacks>> stacks_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  FiberBody body_ = nullptr;
  void* argument_ = nullptr;
  Fiber* running_ = nullptr;
  struct Scheduler {
    boost::context::detail::fcontext_t context = nullptr;
    // its own stack, as the sanitizers know it
    void* fake_stack = nullptr;
    const void* stack = nullptr;
    std::size_t stack_size = 0;
    void* tsan = nullptr;
  };
  Scheduler scheduler_;
};

}  // namespace lfm::simt
