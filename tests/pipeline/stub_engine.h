// An engine that computes nothing: the logit of an image is its first byte. It records the batches it was given.
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "src/engine/engine.h"

namespace lfm::test {

class StubEngine : public Engine {
 public:
  std::vector<int> batch_sizes;
  std::function<void(const PixelBatch&)> on_batch;  ///< may throw

  std::string description() const override { return "stub"; }
  void load(const Architecture&, std::span<const float>) override {}
  void reserve(const PlanRequest&) override {}
  std::size_t arena_bytes(const PlanRequest& r) const override { return std::size_t{1} * r.n * r.height * r.width; }
  int inference_chunk(int, int) const override { return 1 << 20; }
  void infer_first_block(const PixelBatch& batch) override {
    batch_sizes.push_back(batch.n);
    if (on_batch) on_batch(batch);
    logits_.clear();
    for (int i = 0; i < batch.n; ++i) logits_.push_back(batch.pixels[std::size_t{3} * i * batch.height * batch.width]);
  }
  void infer_block(int) override {}
  void infer_last_block() override {}
  void infer_pool() override {}
  void infer_head(std::span<float> logits) override { std::copy(logits_.begin(), logits_.end(), logits.begin()); }
  std::optional<std::vector<float>> read(Activation) override { return std::vector<float>(logits_.size() * 1024, 1.0f); }

  void train_first_block(const PixelBatch&) override { untrained(); }
  void train_block(int) override { untrained(); }
  void train_last_block() override { untrained(); }
  void train_pool(const TrainingOptions&, const DrawKey&, const InjectedDraws&) override { untrained(); }
  TrainingResult train_head(std::span<const std::uint8_t>, float) override { untrained(); }
  void backward_head(GradientMode) override { untrained(); }
  void backward_pool() override { untrained(); }
  void backward_last_block(GradientMode) override { untrained(); }
  void backward_block(int, GradientMode) override { untrained(); }
  void backward_first_block(GradientMode) override { untrained(); }
  double adam_step(const AdamOptions&, std::uint64_t) override { untrained(); }
  void read_parameters(std::span<float>) override { untrained(); }
  void read_gradients(std::span<float>) override { untrained(); }
  void read_moments(std::span<float>, std::span<float>) override { untrained(); }
  void write_moments(std::span<const float>, std::span<const float>) override { untrained(); }
  void set_communicator(Communicator) override {}

 private:
  [[noreturn]] static void untrained() { throw std::logic_error("the stub does not train"); }
  std::vector<float> logits_;
};

}  // namespace lfm::test
