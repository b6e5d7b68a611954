// The ResNet trunk (src/model/resnet.h) in double precision, forward and mirrored backward, every map kept.
#pragma once

#include <array>

#include "src/engine/reference/operations.h"
#include "src/engine/reference/parameters.h"
#include "src/model/stages.h"

namespace lfm::reference {

/// Which statistics batch norm takes: running ones in inference; in training the batch's, with which it then updates
/// them.
enum class Statistics { running, batch };

class ResnetTrunk {
 public:
  /// A stem or a bottleneck; x: the residual.
  void forward(const Stage& stage, const Maps& x, Parameters& parameters, Statistics statistics,
               const Communicator& communicator);
  /// The same backward, after forward() with the batch's statistics: from the gradient of its output, which the next
  /// one left, or grad_maps() for the last, to those of its parameters and its input.
  void backward(const Stage& stage, const Maps& x, Parameters& parameters, GradientMode mode,
                const Communicator& communicator);

  const Maps& stem() const { return stem_.out; }
  const Maps& layer1() const { return bottlenecks_[kLayer1End - 1].out; }
  const Maps& maps() const { return bottlenecks_.back().out; }
  Maps& grad_maps() { return bottlenecks_.back().grad_out; }

 private:
  struct ConvNorm {  // one convolution and its batch norm
    Maps conv;
    BatchStatistics statistics;
    Maps norm;
  };
  struct Stem {
    Maps relu, out, grad_out;
  };
  struct Block {
    Maps reduced, spatial;  // behind ReLU
    Maps sum;               // of the last batch norm and the shortcut
    Maps out, grad_out;
  };
  /// What a stage of one step is computed with.
  struct Step {
    Parameters& parameters;
    const Communicator& communicator;
    Statistics statistics = Statistics::batch;
    GradientMode mode = GradientMode::overwrite;
  };

  const Maps& conv_norm(int convolution, const Maps& x, const Step& step);
  Maps backward_conv_norm(int convolution, const Maps& x, const Maps& grad_norm, const Step& step);
  void bottleneck(int b, const Step& step);
  void backward_bottleneck(int b, const Step& step);
  const Maps& input_of(int b) const { return b == 0 ? stem_.out : bottlenecks_[static_cast<std::size_t>(b) - 1].out; }

  std::array<ConvNorm, kTrunkConvolutions.size()> convolutions_;
  Stem stem_;
  std::array<Block, kBottlenecks.size()> bottlenecks_;
};

}  // namespace lfm::reference
