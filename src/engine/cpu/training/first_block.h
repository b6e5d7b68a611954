// Block 1 in training: its 223x223 maps (at 224x224) are never in memory.
//
// The convolution's output is linear in the residual's patch r (2x2 pixels, 3 channels: 12 taps), y_c = w_c . r, and so
// everything that batch norm asks about all N positions follows from two sums over them that know no channel,
//
//     S = sum r  [12]        M = sum r r^T  [12][12]        (of NPR integers, exact; else in double)
//
//     mean_c = w_c . S / N        var_c = w_c^T (M/N - S S^T/N^2) w_c
//
// Forward: batch norm with these statistics folds into the filters, and the pass over the image is inference's: maximum
// of each 2x2, shift, ReLU. It keeps that output and which of the four won.
//
// Backward: with g the gradient of an output behind ReLU and r* the winner's patch, one pass over the image sums
//
//     D_c = sum g r*  [12]        G_c = sum g
//
// and the rest is arithmetic on 64 filters. x_hat = (w_c . r - mean)/deviation is linear in r too, so
//
//     dshift_c = G_c        dscale_c = sum g x_hat* = (w_c . D_c - mean_c G_c)/deviation_c
//     dw_c = scale_c/deviation_c [ D_c - G_c/N S - dscale_c/N X_c ],
//     X_c = sum x_hat r = (M w_c - mean_c S)/deviation_c
//
// without recomputing a single output. A tap's weight acts on the residual times the front end's scale: the filters
// absorb that factor, dw_c is multiplied by it. Any other residual than NPR is computed row by row before its use, the
// plain way. In a data-parallel run N, S, M of the statistics, and G and dscale in dw, are those of all processes; D,
// S, M in dw are this one's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/engine/cpu/training/batch_norm.h"
#include "src/engine/cpu/training/conv_training.h"

namespace lfm::cpu {

/// S and M of a set of positions.
struct PatchSums {
  std::vector<double> sum = std::vector<double>(kPatch);
  std::vector<double> product = std::vector<double>(kPatch * kPatch);  ///< symmetric
  double count = 0;
};

class FirstBlock {
 public:
  static constexpr int kChannelsOut = kChannels[1];

  /// Scratch of one image: its moments, then its gradient sums, in floats.
  static constexpr std::size_t kImageFloats = 2 * (kPatch + 1) * kChannelsOut;
  static std::size_t worker_floats(const NetworkShape& shape);

  FirstBlock();

  struct Pass {
    FrontEnd front_end;
    PixelBatch batch;
    NetworkShape shape;
    NormParameters parameters;
    std::span<const float> weight;  ///< [64][3][2][2]
    float* out;                     ///< [n][out][64], behind ReLU
    std::uint8_t* winner;           ///< [n][out] x winner_bytes
    float* images;                  ///< scratch: n * kImageFloats
    float* workers;                 ///< scratch: threads * worker_floats()
  };
  void forward(const Machine& machine, const Pass& pass, const Communicator& communicator);

  struct Gradients {
    const float* grad;  ///< [n][out][64]
    std::span<float> weight, scale, shift;
    GradientMode mode;
  };
  void backward(const Machine& machine, const Pass& pass, const Gradients& gradients, const Communicator& communicator);

 private:
  void sum_patches(const Machine& machine, const Pass& pass, const Communicator& communicator);
  void fold();

  BatchNorm norm_;
  PatchSums local_, all_;        // of this process, of all
  std::vector<double> filters_;  // [64][12], for taps in the order of the kernels and the residual in grey levels
  std::vector<double> mean_, variance_, sums_;
  Buffer folded_;  // [64/16][12][16], then the shift [64]
};

}  // namespace lfm::cpu
