// The CUDA engine, on the GPU or on the emulated device: see src/engine/engine.h for the contract. Inference is in
// cuda_engine.cpp and inference.cpp, training in training.h.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/engine/cuda/collective.h"
#include "src/engine/cuda/device.h"
#include "src/engine/cuda/inference.h"
#include "src/engine/cuda/library_stages.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/cuda/training.h"
#include "src/engine/engine.h"

namespace lfm::inline LFM_TARGET {

class CudaEngine final : public Engine, public Inference {
 public:
  /// ordinal: as device::Context takes it. precision: of inference, not automatic. note is told when memory does not
  /// suffice. training: FP32, TF32 or BF16. providers: of inference's stages; a library that is missing is
  /// Error{device}.
  CudaEngine(int ordinal, std::string description, Precision precision = Precision::fp32,
             std::function<void(const std::string&)> note = {}, Precision training = Precision::fp32,
             const Providers& providers = {});
  ~CudaEngine() override;

  std::string description() const override;
  Plan plan_for(const Architecture& architecture, const PlanRequest& request) const override;
  Inference& inference() override { return *this; }
  CudaTraining& training() override;
  Precision precision(PlanMode mode) const override {
    return mode == PlanMode::inference ? precision_ : training_precision_;
  }
  void set_communicator(Communicator communicator) override;
  std::string remedy(const Architecture& architecture, PlanMode mode) const override;

  PixelBuffer host_memory(std::size_t bytes) override;
  bool prefers_own_memory() const override { return true; }
  PixelBuffer place(const PixelBatch& batch) override;
  void adopt(const PixelBatch& batch) override;
  std::size_t cache_bytes() const override { return context_.cache_bytes(); }

  void mark(std::size_t index) override;
  double milliseconds_between(std::size_t from, std::size_t to) override;
  std::string computed_by(const Stage& stage) const override;
  const char* clock() const override { return device::Timestamp::clock(); }

  void begin(const PixelBatch& batch) override;
  void run(const Stage& stage) override { waiting_ |= 1u << stage.index; }
  void end(std::span<float> logits) override;
  void wait(int left) override;
  std::optional<std::vector<float>> read(Activation activation) override;
  int chunk(int height, int width) const override;
  int batches_under_way() const override { return 2; }

 private:
  // One of two passes under way: its images on their way to the device, its logits on their way back.
  struct Slot {
    explicit Slot(const device::Context& context) : uploaded(context), consumed(context), finished(context) {}
    device::PinnedMemory pixels;
    device::PinnedMemory logits;
    device::Event uploaded;    // the device has the images: the pinned memory may be overwritten
    device::Event consumed;    // the first block has read them: the device's copy may be overwritten
    device::Event finished;    // the logits are on the host
    std::span<float> results;  // where they go; empty when they are there
  };
  // A pass's launches as one: made when as many images come for the second time where they lay before.
  struct PassGraph {
    int seen = 0;
    device::Graph graph;
  };

  void take_model(const Architecture& architecture, std::span<const float> values) override;
  void make_room(const PlanRequest& request) override;
  void upload_weights(const Architecture& architecture, std::span<const float> values);
  void refresh_weights();
  void forget_graphs() { graphs_.clear(); }
  bool is_resnet() const { return architecture().trunk == Trunk::resnet; }
  InferencePass pass() const;
  InferencePlan plan_pass(const Architecture& architecture, int n, int height, int width) const;
  void upload(Slot& slot, const PixelBatch& batch);
  void launch_stages();
  void launch_pass();
  void deliver(Slot& slot);
  void take_memory(const InferencePlan& plan);
  std::vector<std::byte> download(const Region& region);

  device::Context context_;
  std::string description_;
  Precision precision_;
  Precision training_precision_;
  std::function<void(const std::string&)> note_;
  bool
      use_graphs_;  // LFM_CUDA_GRAPHS=off launches kernels one by one, for profilers that should see NVTX ranges around them
  const Recipe recipe_;  // of inference; LFM_CUDA_WINOGRAD, LFM_CUDA_WGMMA: options of the choice
  bool splits_;          // few images' last block; LFM_CUDA_SPLIT=off: never
  device::Stream upload_, compute_;
  std::vector<device::Timestamp> marks_;
  std::optional<LibraryStages> libraries_;  // where any stage is a library's
  std::array<Slot, 2> slots_;
  std::size_t slot_ = 0;  // of the pass under way

  std::vector<float> parameters_;
  WeightPlan weight_plan_;
  device::Memory weights_;
  InferencePlan plan_;
  device::Memory arena_;
  int chunk_limit_;  // images; lowered when memory does not suffice
  std::map<std::pair<int, const std::uint8_t*>, PassGraph>
      graphs_;  // by images and where they lie, of plan_ and weights_

  // The pass under way. Stages are launched when somebody needs their results, so that a whole pass can be one graph.
  int n_ = 0;                             // images, at most plan_.n
  const std::uint8_t* pixels_ = nullptr;  // where they are on the device
  unsigned waiting_ = 0;  // a bit for each stage that was asked for and is not yet launched, by its index

  std::unique_ptr<CudaTraining> training_;  // once there is any; it then has the parameters
  std::uint64_t folded_changes_ = 0;        // of training's changes, those that the weights of inference have
  Communicator communicator_;
  std::unique_ptr<device::Collective> collective_;
};

}  // namespace lfm::inline LFM_TARGET
