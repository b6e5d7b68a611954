// The 1x1 convolution 512 -> 64 in training, with batch norm and ReLU of block 4 before it. Block 4's activations are
// normalised as they are read, in both directions, and never stored. The mathematics of the backward pass is in
// projection-inl.h.
#pragma once

#include <cstddef>
#include <span>

#include "src/engine/cpu/training/conv_training.h"

namespace lfm::cpu {

inline constexpr int kLastChannels = kChannels[kBlocks];
inline constexpr std::size_t kProjectionFloats = std::size_t{kMapChannels} * kLastChannels;

struct Projection {
  int n;
  int area;
  const float* conv;  ///< [n][area][512], before batch norm
  Affine norm;
  std::span<const float> weight;  ///< [64][512]
};

std::size_t projection_worker_floats();

/// maps [n][area][64]; packed: scratch, kProjectionFloats.
void projection_forward(const Machine& machine, const Projection& p, float* maps, float* packed, float* workers);

struct ProjectionBackward {
  const float* grad_maps;        ///< [n][area][64]
  float* grad;                   ///< out: [n][area][512], behind ReLU
  float* slot_weights;           ///< scratch: slots * kProjectionFloats
  std::span<float> grad_weight;  ///< [64][512]
  GradientMode mode;
  double* partial;         ///< scratch: [n][2][512]
  std::span<double> sums;  ///< out: [2][512] of grad and grad * conv
};
void projection_backward(const Machine& machine, const Projection& p, const ProjectionBackward& b);

}  // namespace lfm::cpu
