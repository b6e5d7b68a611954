// The CPU engine: see src/engine/engine.h for the contract. Inference is in cpu_engine.cpp, training in
// training/training.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/conv_block.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/resnet.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/training/training.h"
#include "src/engine/cpu/weights.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// Where the activations of images, or of one strip of a large image, lie: offsets in floats from the start of their
/// arena part.
struct ActivationPlan {
  int n = 0;
  NetworkShape shape;
  std::array<ConvPlan, 3> conv;
  std::array<std::size_t, 3> block{};  ///< [n][h][w][c] of blocks 1 to 3, in the engine's precision
  std::size_t last = 0;                ///< [512/64][n][h][w][64], likewise: slabs for the projection
  std::size_t scratch = 0;
  Plan arena;
};

/// One inference request. A large image passes through the network in strips of map rows, each computed from its own
/// rows of pixels (8 per map row and 16 more, the receptive field), so that only its maps are ever whole in memory.
struct InferencePlan {
  NetworkShape shape;         ///< of the whole image
  int strips = 1;             ///< more only for a single image
  ActivationPlan part;        ///< of all n images, or of the tallest strip
  std::size_t maps = 0;       ///< [n][h*w][64], FP32
  std::size_t features = 0;   ///< [n][feature_count]
  std::size_t selection = 0;  ///< [threads][k][64]: scratch of the top-k
  std::size_t parts = 0;      ///< where part begins
  Plan arena;
};

/// Images of more pixels are cut into strips.
inline constexpr std::int64_t kStripPixels = 1'500'000;

class CpuEngine final : public Engine, public Inference {
 public:
  /// precision: one of the kernels' own; training always takes their FP32.
  CpuEngine(int threads, const Kernels& kernels, const PrecisionKernels& precision,
            std::int64_t strip_pixels = kStripPixels);

  std::string description() const override;
  Plan plan_for(const Architecture& architecture, const PlanRequest& request) const override;
  std::string remedy(const Architecture& architecture, PlanMode mode) const override;
  Inference& inference() override { return *this; }
  Training& training() override { return training_; }
  Precision precision(PlanMode mode) const override {
    return mode == PlanMode::inference ? inference_.precision : Precision::fp32;
  }
  void set_communicator(Communicator communicator) override { training_.set_communicator(std::move(communicator)); }

  void begin(const PixelBatch& batch) override;
  void run(const Stage& stage) override;
  void end(std::span<float> logits) override;
  std::optional<std::vector<float>> read(Activation activation) override;
  int chunk(int height, int width) const override;

 private:
  void take_model(const Architecture& architecture, std::span<const float> values) override;
  void make_room(const PlanRequest& request) override;
  bool is_resnet() const { return architecture().trunk == Trunk::resnet; }
  void pack(const Architecture& architecture);
  InferencePlan plan_inference(const Architecture& architecture, int n, int height, int width) const;
  ActivationPlan plan_activations(const Architecture& architecture, int n, int height, int width, bool keep_all) const;
  void first_block(const ActivationPlan& plan, int first_row);
  void middle_block(const ActivationPlan& plan, int block);
  void last_block(const ActivationPlan& plan);
  void project(const ActivationPlan& plan, float* maps);
  void block(const ActivationPlan& plan, int block, int first_row = 0);
  void run_strips();
  void pool();
  void head();

  std::vector<float> channels_first(const float* data, MapSize size, int channels, std::size_t pixel, std::size_t group,
                                    Precision precision) const;

  const Kernels& kernels_;
  const PrecisionKernels& inference_;
  std::int64_t strip_pixels_;
  ThreadPool pool_;
  std::vector<float> parameters_;
  InferenceWeights weights_;
  std::uint64_t packed_changes_ = 0;  // training's changes of parameters that are in them
  InferencePlan plan_;
  PixelBatch batch_;  ///< of the pass under way; strips read it late
  Buffer arena_;
  std::vector<float> logits_;
  CpuTraining training_;
  Resnet resnet_;  ///< in place of all that, where the architecture has its trunk
};

}  // namespace lfm::cpu
