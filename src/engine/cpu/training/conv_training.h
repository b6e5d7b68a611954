// Blocks 2 to 4 in training: the convolution forward with its batch statistics, and backward from the gradient behind
// ReLU to the gradients of its filters and its input, all by Winograd (mathematics in winograd4-inl.h).
//
// Work is cut at rows of tiles, numbered through the batch. Forward, a task transforms a few rows (V), multiplies them
// by the filters 64 output channels at a time and finishes those: V and M stay in cache. Backward, the images are dealt
// to a fixed number of slots; a slot walks its rows in order, makes V again and P = A dY A^T on the fly, adds V^T P to
// its own sum of filter gradients and P U^T to the gradient of the input. The slots are added in order at the end. No
// cut depends on the number of threads, nor do results.
#pragma once

#include <cstddef>
#include <span>

#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/training/batch_norm.h"
#include "src/engine/cpu/training/training_kernels.h"
#include "src/model/architecture.h"

namespace lfm::cpu {

/// What every training stage computes with.
struct Machine {
  const Kernels& kernels;
  const TrainingKernels& training;
  ThreadPool& pool;
};

/// Backward slots of a batch: sums that are kept apart and added in order.
int slot_count(int n);

struct ConvTraining {
  int n;
  MapSize in, conv, out;  ///< out: after pooling
  int ic, oc;
  bool pool;
  int slots;
  int tile_rows, tile_columns;  ///< of an image
  int forward_tasks;
  int forward_rows, backward_rows;  ///< at most, of tiles in a task or a backward step

  std::size_t filter_floats() const {
    return std::size_t{kProducts} * static_cast<std::size_t>(ic) * static_cast<std::size_t>(oc);
  }
  std::size_t worker_floats() const;  ///< scratch of one thread, for either pass
  std::size_t forward_sums() const;   ///< doubles
  std::size_t backward_sums() const;  ///< doubles
};
ConvTraining plan_conv_training(int n, const NetworkShape& shape, int block);

struct ConvForward {
  const float* in;  ///< [n][in][ic], before `in_norm` and ReLU
  Affine in_norm;
  std::span<const float> weight;  ///< [oc][ic][2][2]
  const float* centre;            ///< [oc], subtracted from the output
  const float* sign;              ///< [oc] of batch norm's scale
  float* conv;                    ///< [n][conv][oc]
  float* pooled;                  ///< [n][out][oc]: what batch norm makes the largest of each 2x2; null without pooling
  float* filters;                 ///< scratch: filter_floats()
  float* workers;                 ///< scratch: threads * worker_floats()
  double* partial;                ///< scratch: forward_sums()
  std::span<double> sums;         ///< out: [2][oc], of the output and of its squares
};
void conv_forward(const Machine& machine, const ConvTraining& plan, const ConvForward& p);

struct ConvBackward {
  const float* in;
  Affine in_norm;
  std::span<const float> weight;
  const float* conv;
  const BatchNorm& norm;  ///< backward() done
  const float* grad;      ///< [n][out][oc], behind ReLU
  float* filters;
  float* grad_filters;           ///< scratch: slots * filter_floats()
  std::span<float> grad_weight;  ///< [oc][ic][2][2]
  GradientMode mode;
  float* grad_in;  ///< [n][in][ic]; behind ReLU of in_norm if in_sums is not empty
  float* workers;
  double* partial;            ///< scratch: backward_sums()
  std::span<double> in_sums;  ///< out, or empty: [2][ic] of grad_in and of grad_in * in
};
void conv_backward(const Machine& machine, const ConvTraining& plan, const ConvBackward& p);

/// sums[i] = sum over parts of partial[part][i], in order.
void add_parts(const double* partial, int parts, std::span<double> sums);

/// Of count items dealt to parts, where a part begins.
constexpr int part_begin(int count, int part, int parts) {
  return static_cast<int>(static_cast<long long>(count) * part / parts);
}

}  // namespace lfm::cpu
