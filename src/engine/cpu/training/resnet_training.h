// The ResNet trunk's training stages on the CPU (model/resnet.h): what they keep between each other, and where it lies.
//
// Every convolution keeps its output before batch norm, minus a centre per channel (batch_norm.h), and every bottleneck
// its own output; what lies between is normalised again as it is read. All maps are slabs of 64 channels
// (slab_maps.h). A gradient has one place for the stem and one for each layer: bottlenecks that keep their shape pass
// it on in place.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "src/engine/cpu/training/batch_norm.h"
#include "src/engine/cpu/training/slab_maps.h"
#include "src/model/stages.h"

namespace lfm::cpu {

/// Offsets in floats from the start of the arena.
struct ResnetTrainingPlan {
  static constexpr std::size_t kLevels = 3;  // the stem, layer1, layer2

  int n = 0;
  MapSize input;                                          ///< of the residual
  std::array<MapSize, kTrunkConvolutions.size()> size{};  ///< of each convolution's output
  MapSize stem;
  std::size_t residual = 0;                                   ///< [n][1 + h + 1][1 + w + 1][3], grey levels
  std::array<std::size_t, kTrunkConvolutions.size()> conv{};  ///< each convolution's output
  std::size_t stem_out = 0, winner = 0;                       ///< winner: bytes, of each value the tap it came from
  std::array<std::size_t, kBottlenecks.size()> out{};         ///< each bottleneck's
  std::array<std::size_t, kLevels> grad{};                    ///< of the outputs of the stem, of layer1 and of layer2
  std::size_t reduced = 0;  ///< behind ReLU, bordered: what a 3x3 reads; backward also its output's gradient
  std::size_t spatial = 0;  ///< behind ReLU, flat: what the second 1x1 reads
  std::size_t grad_reduced = 0, grad_spatial = 0;
  std::size_t grad_bordered = 0;  ///< grad_spatial with a border, its pixels as far apart as the stride says
  std::size_t grad_wide = 0;      ///< of a convolution's output, at its widest
  std::size_t packed = 0, slots = 0, partial = 0, workers = 0;
  std::size_t worker_floats = 0;
};
/// Adds what it takes to the layout.
ResnetTrainingPlan plan_resnet_training(const StageTable& table, int n, int threads, ArenaLayout& layout);

/// One step's surroundings: they belong to CpuTraining.
struct ResnetStep {
  const Architecture& architecture;
  const ResnetTrainingPlan& plan;
  float* arena;
  const PixelBatch& batch;
  const ParameterTable& table;
  std::span<float> values, gradients;
  const Communicator& communicator;

  float* at(std::size_t offset) const { return arena + offset; }
  std::span<float> value(int id) const { return parameter(values, table, id); }
  std::span<float> gradient(int id) const { return parameter(gradients, table, id); }
};

class ResnetTraining {
 public:
  explicit ResnetTraining(const Machine& machine);

  /// Front end, stem or bottleneck.
  void forward(const Stage& stage, const ResnetStep& step);
  /// A bottleneck or the stem, after what follows it; the maps' gradient lies at plan.grad.back().
  void backward(const Stage& stage, const ResnetStep& step, GradientMode mode);

 private:
  struct Conv {
    BatchNorm norm;
    std::vector<double> sums;  // [2][oc], what batch norm waits for
  };
  BatchNorm& norm(int convolution) { return convolutions_[static_cast<std::size_t>(convolution)].norm; }
  std::span<double> sums(int convolution) { return convolutions_[static_cast<std::size_t>(convolution)].sums; }
  NormParameters norm_parameters(int convolution, const ResnetStep& step) const;

  SlabMaps output(int convolution, const ResnetStep& step) const;
  SlabMaps input_of(int b, const ResnetStep& step) const;
  SlabMaps output_of(int b, const ResnetStep& step) const;
  SlabMaps gradient_of(int b, const ResnetStep& step) const;
  const float* centred_bias(int convolution, const ResnetStep& step);
  void finish_norm(int convolution, const ResnetStep& step);
  void convolve_norm(int convolution, const SlabMaps& in, const ResnetStep& step);
  void normalize(int convolution, const SlabMaps& out, const ResnetStep& step);
  void bottleneck(int b, const ResnetStep& step);

  void norm_backward(int convolution, const ResnetStep& step, GradientMode mode);
  void relu_norm_backward(int convolution, const SlabMaps& grad, const ResnetStep& step, GradientMode mode);
  void apply_norm_grad(int convolution, const SlabMaps& grad, const SlabMaps& to, const ResnetStep& step);
  void convolution_backward(int convolution, const SlabMaps& in, const SlabMaps& grad, const SlabMaps& grad_in,
                            const float* shortcut, const ResnetStep& step, GradientMode mode);
  void backward_bottleneck(int b, const ResnetStep& step, GradientMode mode);

  void residual(const ResnetStep& step);
  void stem(const ResnetStep& step);
  void backward_stem(const ResnetStep& step, GradientMode mode);

  Machine machine_;
  std::vector<Conv> convolutions_;
  Buffer none_;  // zeros: the biases that the trunk's convolutions have not
  Buffer bias_;
};

}  // namespace lfm::cpu
