// Ctrl-C while a stream of images is scored.
#pragma once

#include <csignal>

#include "lfm/detector.h"

namespace lfm {

/// Ctrl-C, what mpirun makes of it, and what mpirun passes on and batch systems send before time is up.
inline constexpr int kInterrupts[] = {SIGINT, SIGTERM, SIGUSR1};

/// While it lives, the first of these signals ends the source's paths: images under way are still scored. A second one
/// ends the process. The source's cancel() is called from the signal handler and may do no more than store to lock-free
/// atomics.
class Interruption {
 public:
  explicit Interruption(InputSource& source);
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();
  bool happened() const;
};

/// The signal that an Interruption has seen; 0: none.
int interrupting_signal();

}  // namespace lfm
