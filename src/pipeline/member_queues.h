// The engines of one device, one for each member of a model, and the batches that all of them have under way in step.
//
// One thread uses them in turn: their pools of threads do not compete on a CPU, and on a GPU their work queues up
// behind each other.
#pragma once

#include <deque>
#include <exception>
#include <span>
#include <vector>

#include "src/engine/network.h"
#include "src/pipeline/picture.h"

namespace lfm {

/// Where one member's results of a batch go: as of InferenceQueue::begin.
struct MemberOutput {
  std::vector<float> logits, features, maps;
};

class MemberQueues {
 public:
  /// As many engines as members; both outlive it.
  MemberQueues(std::span<Engine* const> engines, std::span<const Member> members);

  /// Begins a batch on every engine. Where one throws the batch is not under way on any, and the others are as they
  /// were.
  void begin(const PixelBatch& batch, std::span<MemberOutput> outputs);

  /// Waits until every engine has done the earliest batch under way, of which there must be one. After it threw, it
  /// throws always.
  void finish();

  int under_way() const { return under_way_; }
  /// How many batches should be under way.
  int depth() const { return depth_; }

 private:
  struct Lane {
    Lane(Engine& engine, const Architecture& architecture) : queue(engine, architecture) {}
    InferenceQueue queue;
    int done = 0;  // batches under way that it has finished ahead of finish()
  };
  void drain(Lane& lane, int batches);

  std::deque<Lane> lanes_;  // of queues that can't be moved
  int under_way_ = 0;
  int depth_ = 1;
  std::exception_ptr failure_;
};

}  // namespace lfm
