// One stream of pictures, scored by several processes that all can open the same files. The root has the source and the
// sink. It deals inputs out, each to the process with the most room, and puts the results back in order: the sink sees
// what Detector::detect_stream would show it.
//
//   root:    source -> reader thread -> dealt out -> mail ---> other processes: Share ---> mail -> in order -> sink
//                                          |                                                         ^
//                                          +-> the root's own Share ---------------------------------+
//
// A process is given more while its results come back within half a second, and less when they take longer than one:
// near the end no process sits on much that another could do. Results that wait for an earlier one are bounded,
// whatever a single picture takes.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "lfm/detector.h"
#include "src/pipeline/media_source.h"

namespace lfm {

struct Letter {
  int from = 0;
  std::vector<std::byte> bytes;
};

/// How processes reach each other; used by one thread. Letters of one process arrive in the order they were sent in.
struct Mail {
  int rank = 0, size = 1;
  std::function<void(int to, std::vector<std::byte> bytes)> send;  ///< returns at once
  std::function<std::optional<Letter>()> receive;                  ///< what has come, or nothing
};

/// For the root. Nothing to wait for was left undone when it returns true: the source has ended and every result has
/// gone to the sink. What the source, the sink or the root's device throws ends the run and is thrown on. False:
/// hurried() became true, and what was not there half a second later was given up.
bool score_shared(Detector& detector, const Mail& mail, InputSource& source, const MediaOptions& media,
                  const std::function<void(Detection&&)>& sink, const std::function<bool()>& hurried);

/// For every other process: scores what the root hands out, until it has no more. False: the root has failed, and needs
/// nobody.
bool score_for_root(Detector& detector, const Mail& mail, const MediaOptions& media);

/// For a root that has failed: lets the others go.
void dismiss_all(const Mail& mail);

}  // namespace lfm
