// Training on the device: the stages of engine.h, forward (training_forward.cpp) and backward (training_backward.cpp),
// SNet's convolutions in every precision (training_convolutions.cpp), the ResNet trunk both ways (training_resnet.cpp),
// and the state that persists between steps (training_state.cpp). Owned by CudaEngine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/conv2x2_direct_training.h"
#include "kernels/first_conv.h"
#include "src/engine/cuda/collective.h"
#include "src/engine/cuda/device.h"
#include "src/engine/cuda/training_plan.h"
#include "src/engine/engine.h"
#include "src/model/front_end.h"

namespace lfm::inline LFM_TARGET {

class CudaTraining final : public Training {
 public:
  /// parameters: laid out by the table. All work goes to `stream`. precision: FP32, TF32 or BF16, of what the
  /// convolutions multiply; everything else is FP32, but in BF16 what kernels::Stored says. The ResNet trunk has FP32
  /// alone.
  CudaTraining(const device::Context& context, device::Stream& stream, const Architecture& architecture,
               std::span<const float> parameters, Precision precision = Precision::fp32);

  void make_room(const PlanRequest& request);
  /// How often a stage has changed parameters or running statistics.
  std::uint64_t changes() const { return changes_; }

  void begin(const PixelBatch& batch, const TrainingStep& step) override;
  void forward(const Stage& stage) override;
  TrainingResult end() override;
  void backward(const Stage& stage, GradientMode mode) override;
  double adam(const AdamOptions& options, std::uint64_t step) override;
  std::optional<std::vector<float>> read(Activation activation) override;

  void read_parameters(std::span<float> values) override;
  void read_gradients(std::span<float> gradients) override;
  void read_moments(std::span<float> m, std::span<float> v) override;
  void write_moments(std::span<const float> m, std::span<const float> v) override;
  /// collective: null if sums pass through the host; must live as long as this.
  void set_communicator(Communicator communicator, device::Collective* collective) {
    communicator_ = std::move(communicator);
    collective_ = collective;
  }

 private:
  template <typename T = float>
  T* at(const Region& region) const {
    return reinterpret_cast<T*>(arena_.data() + region.offset);
  }
  float* in_state(const Region& region) const { return reinterpret_cast<float*>(state_.data() + region.offset); }
  float* parameter_at(int id) const { return in_state(state_plan_.parameters) + table_[id].offset; }
  float* gradient_at(int id) const { return in_state(state_plan_.gradients) + table_[id].offset; }
  // Half of an array that holds both branches: 0 = top-k, 1 = RKS.
  float* result_at(int row) const { return at(plan_.results) + static_cast<std::size_t>(row) * plan_.n; }
  float* branch_at(const Region& region, int branch) const {
    return at(region) + region.count() / 2 * static_cast<std::size_t>(branch);
  }
  int channels() const { return map_channels(architecture_); }
  int rows() const { return n_ * channels(); }
  int map_positions() const { return n_ * plan_.map.area(); }

  // Calls f with a value of the type that the convolutions multiply.
  template <typename F>
  void in_format(F f) const {
    switch (precision_) {
      case Precision::bf16: return f(kernels::Bfloat16{});
      case Precision::tf32: return f(kernels::Tf32{});
      default: return f(0.0f);
    }
  }

  // Calls f with values of the types that the block's output is rounded to and that its batch norm reads. The first
  // convolution is FP32's.
  template <typename F>
  void in_formats_of(int b, F f) const {
    in_format([&](auto format) {
      if (b == 0) return f(format, 0.0f);
      f(format, kernels::Stored<decltype(format)>{});
    });
  }

  kernels::ResidualScale residual_scale() const {
    kernels::ResidualScale scale;
    for (std::size_t c = 0; c < 3; ++c)
      scale.channel[c] = static_cast<float>(front_end(architecture_).scale(c, architecture_.normalisation));
    return scale;
  }
  kernels::FirstConvInput<float> stored_residual() const {
    return {at(plan_.residual), n_, plan_.input.h, plan_.input.w, residual_scale()};
  }
  // Calls f with what the first convolution of SNet begins at: pixels, or the residual.
  template <typename F>
  void with_first_input(F f) const {
    if (!is_fused(architecture_)) return f(stored_residual());
    f(kernels::FirstConvInput<std::uint8_t>{pixels_, n_, plan_.height, plan_.width, residual_scale()});
  }
  template <typename X>
  kernels::BatchNorm<X> batch_norm(int b) const;
  kernels::Conv2x2Shape conv_shape(int b) const;
  // Of outputs before batch norm. Its mean takes the bias away again; near zero BF16 rounds finer.
  template <typename X>
  static constexpr bool is_stored_without_bias = std::is_same_v<X, kernels::Bfloat16>;
  void forward_block(int b);
  void pool();
  void head();
  void backward_head(GradientMode mode);
  void backward_pool();
  void backward_block(int b, GradientMode mode);
  void convolve(int b);
  template <typename T>
  void convolve(int b);
  void project();
  template <typename T>
  void project();
  void normalise(int b);
  void backward_normalise(int b, GradientMode mode);
  void backward_projection(GradientMode mode);
  template <typename T>
  void backward_projection(GradientMode mode);
  void backward_convolution(int b, GradientMode mode);
  template <typename T>
  void backward_convolution(int b, GradientMode mode);

  // A map of the ResNet trunk.
  struct TrunkMap {
    float* data;
    MapSize size;
  };
  kernels::BatchNorm<float> trunk_norm(int convolution) const;
  TrunkMap input_of(int bottleneck) const;
  float* gradient_behind(int bottleneck) const;
  void forward_stem();
  void forward_bottleneck(int b);
  void convolve_trunk(int convolution, const TrunkMap& in);
  void take_trunk_statistics(int convolution);
  void backward_stem(GradientMode mode);
  void backward_bottleneck(int b, GradientMode mode);
  void backward_trunk_norm(int convolution, const float* grad, bool relu, GradientMode mode);
  void backward_trunk_weight(int convolution, const TrunkMap& in, GradientMode mode);
  void backward_trunk_input(int convolution, const TrunkMap& grad_in, const float* shortcut = nullptr);

  void run_branch(int branch, float weight);
  void compare_with_teacher();

  void upload(const Region& input, const void* from, std::size_t bytes);
  std::byte* transfer(std::size_t bytes);
  void download(void* to, const void* device, std::size_t bytes);     // waits
  void overwrite(void* device, const void* from, std::size_t bytes);  // waits
  double images_times(int area) const { return images_ * area; }      // positions of the whole batch
  template <typename X>
  void take_statistics(const X* x, int area, int c, const Region& statistics, int mean, int variance,
                       const float* bias);
  void merge_moments(int area, int c);
  template <typename T>
  void sum_over_processes(T* device, std::size_t count);

  const device::Context& context_;
  device::Stream& stream_;
  Architecture architecture_;
  Precision precision_;
  ParameterTable table_;
  TrainingStatePlan state_plan_;
  device::Memory state_;
  Communicator communicator_;
  device::Collective* collective_ = nullptr;

  TrainingPlan plan_;
  device::Memory arena_;
  device::PinnedMemory inputs_;  // mirrors the inputs at the arena's start
  device::Event uploaded_;       // the inputs have left the pinned memory
  device::PinnedMemory transfer_;
  const std::uint8_t* pixels_ = nullptr;  // of the pass under way, on the device
  int n_ = 0;                             // its images, at most plan_.n
  double images_ = 0;                     // of all processes
  TrainingStep step_;
  std::uint64_t changes_ = 0;
  bool maps_taught_ = false;  // the maps' gradient already has a teacher's part
};

}  // namespace lfm::inline LFM_TARGET
