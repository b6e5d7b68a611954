#include "src/pipeline/member_queues.h"

#include <algorithm>
#include <limits>

namespace lfm {

MemberQueues::MemberQueues(std::span<Engine* const> engines, std::span<const Member> members)
    : depth_(std::numeric_limits<int>::max()) {
  for (std::size_t m = 0; m < engines.size(); ++m) {
    lanes_.emplace_back(*engines[m], members[m].architecture);
    depth_ = std::min(depth_, engines[m]->inference().batches_under_way());
  }
}

void MemberQueues::begin(const PixelBatch& batch, std::span<MemberOutput> outputs) {
  std::size_t begun = 0;
  try {
    for (; begun < lanes_.size(); ++begun) {
      MemberOutput& out = outputs[begun];
      lanes_[begun].queue.begin(batch, out.logits, out.features, out.maps);
    }
  } catch (...) {
    // What the engines before it have begun writes to the caller's memory: wait for it, and for what was begun earlier.
    for (std::size_t m = 0; m < begun; ++m) {
      Lane& lane = lanes_[m];
      const int earlier = lane.queue.under_way() - 1;
      drain(lane, earlier + 1);
      lane.done += earlier;
    }
    throw;
  }
  ++under_way_;
}

void MemberQueues::finish() {
  if (failure_) std::rethrow_exception(failure_);
  --under_way_;
  for (Lane& lane : lanes_) {
    if (lane.done > 0) {
      --lane.done;
    } else {
      drain(lane, 1);
    }
  }
}

void MemberQueues::drain(Lane& lane, int batches) {
  try {
    for (int i = 0; i < batches; ++i) lane.queue.finish();
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

}  // namespace lfm
