// An engine that computes nothing: the logit of an image is its first byte and an offset. It records the batches it was
// given. With a depth of two it works as one on a device does: pinned pixels are read, and logits written, when
// somebody waits for them.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "src/engine/engine.h"

namespace lfm::test {

class StubEngine : public Engine, public Inference {
 public:
  std::vector<int> batch_sizes;
  std::function<void(const PixelBatch&)> on_batch;  ///< may throw
  std::function<void()> on_wait;                    ///< may throw
  int depth = 1;
  float offset = 0;
  int most_under_way = 0, pinned_batches = 0;

  std::string description() const override { return "stub"; }
  Plan plan_for(const Architecture&, const PlanRequest& r) const override {
    return {{}, std::size_t{1} * r.n * r.height * r.width};
  }
  Inference& inference() override { return *this; }
  Training& training() override { throw std::logic_error("the stub does not train"); }
  void set_communicator(Communicator) override {}
  bool prefers_own_memory() const override { return depth > 1; }

  int chunk(int, int) const override { return 1 << 20; }
  int batches_under_way() const override { return depth; }
  void begin(const PixelBatch& batch) override {
    batch_sizes.push_back(batch.n);
    if (on_batch) on_batch(batch);
    pinned_batches += batch.memory == PixelMemory::pinned;
    logits_.clear();
    images_.clear();
    for (int i = 0; i < batch.n; ++i) {
      logits_.push_back(static_cast<float>(*batch.image(i)) + offset);
      if (batch.memory == PixelMemory::pinned) images_.push_back(batch.image(i));
    }
  }
  void run(const Stage&) override {}
  void end(std::span<float> logits) override {
    passes_.push_back({logits_, images_, logits});
    most_under_way = std::max(most_under_way, static_cast<int>(passes_.size()));
    if (depth == 1) wait(0);
  }
  void wait(int left) override {
    for (; passes_.size() > static_cast<std::size_t>(left); passes_.pop_front()) {
      if (on_wait) on_wait();
      Pass& pass = passes_.front();
      for (std::size_t i = 0; i < pass.images.size(); ++i)
        pass.values[i] = static_cast<float>(*pass.images[i]) + offset;
      std::copy(pass.values.begin(), pass.values.end(), pass.logits.begin());
    }
  }
  std::optional<std::vector<float>> read(Activation) override {
    return std::vector<float>(logits_.size() * 1024, 1.0f);
  }

 private:
  void take_model(const Architecture&, std::span<const float>) override {}
  void make_room(const PlanRequest&) override {}

  struct Pass {
    std::vector<float> values;
    std::vector<const std::uint8_t*> images;  // to be read late
    std::span<float> logits;
  };
  std::vector<float> logits_;
  std::vector<const std::uint8_t*> images_;
  std::deque<Pass> passes_;
};

}  // namespace lfm::test
