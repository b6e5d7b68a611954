// Ctrl-C while a stream of images is scored.
#pragma once

#include "lfm/detector.h"

namespace lfm {

/// While it lives, the first SIGINT or SIGTERM ends the source's paths: images under way are still scored. A second one ends the
/// process. The source's cancel() is called from the signal handler and may do no more than store to lock-free atomics.
class Interruption {
 public:
  explicit Interruption(InputSource& source);
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();
  bool happened() const;
};

}  // namespace lfm
