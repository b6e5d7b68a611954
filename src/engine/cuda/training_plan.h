// Where the training pass's buffers lie.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/target.h"
#include "src/engine/cuda/plan.h"

namespace lfm::inline LFM_TARGET {

/// What the ResNet trunk (model/resnet.h) keeps between its stages: float, [n][h][w][c]; all empty where the trunk is
/// another. By their rows in kTrunkConvolutions and kBottlenecks.
struct ResnetTrainingPlan {
  std::array<MapSize, kTrunkConvolutions.size()> size{};     ///< of each convolution's output
  std::array<Region, kTrunkConvolutions.size()> conv;        ///< that, before batch norm; backward, its gradient
  std::array<Region, kTrunkConvolutions.size()> statistics;  ///< float [2][c]
  MapSize stem_size;
  Region stem;     ///< pooled
  Region winners;  ///< uint32 [n][h][w][c/4], of the stem's pooling (kernels/stem_pool.h)
  std::array<Region, kBottlenecks.size()> reduced, spatial, out;  ///< behind ReLU: of the first, the 3x3, and the sum
  Region grad_stem, grad_layer1;  ///< of their outputs; the latter then of what the stem's pooling saw
  Region grad_reduced;            ///< of one bottleneck at a time: the largest, as the next two
  Region grad_spatial;
  Region spread;  ///< a gradient whose positions the stride puts apart; or what of it is then put apart
};

/// The activations of a training pass and the gradients on their way back, k values per channel reaching the head (1
/// for averages). What the host sends comes first, so that one pinned array mirrors it.
struct TrainingPlan {
  Precision precision = Precision::fp32;  ///< of what the convolutions multiply
  int n = 0;
  int height = 0;
  int width = 0;
  bool teacher = false;
  NetworkShape shape;  ///< SNet's
  MapSize input;       ///< of the residual
  MapSize map;         ///< of the maps that are pooled

  Region pixels;                ///< uint8 [n][height][width][3]
  Region labels;                ///< uint8 [n]
  Region keep;                  ///< uint8 [n][channels][k], injected RBLD masks; of the maps' channels
  Region drawn;                 ///< int32 [n][channels][k], RKS positions as drawn or injected
  Region rbld_tables;           ///< float [2][k], of the drop probabilities and of the scales
  Region teacher_maps;          ///< float [n][64][h*w]; this and the next two are empty without a teacher
  Region teacher_logits;        ///< float [n]
  Region teacher_scale;         ///< float [65]
  std::size_t input_bytes = 0;  ///< of all of the above, from the arena's start

  Region residual;            ///< float [n][h][w][3]; empty where block 1 computes it on its way
  ResnetTrainingPlan resnet;  ///< in place of the blocks
  /// [n][h][w][c], before batch norm: float, but in BF16 BF16 from the second block on (kernels::Stored).
  std::array<Region, kBlocks> conv;
  std::array<Region, kBlocks> out;         ///< of the precision [n][h][w][c], after ReLU and pooling
  std::array<Region, kBlocks> statistics;  ///< float [2][c]
  Region maps;                             ///< float [n][channels][h*w]
  Region features;                         ///< float [2][n][channels][k], of both branches
  Region factors;                          ///< float [n][channels][k], of RBLD
  Region topk_positions;                   ///< int32 [n][channels][k]
  Region rks_positions;                    ///< int32 [n][channels][k], sorted as their values
  Region results;  ///< float [6][n]: logits of both branches, losses of both, distances of the maps and the logit
  Region distance_partials;  ///< float [tiles of positions][n]; empty without a teacher
  Region grad_logits;        ///< float [2][n]

  Region grad_features;      ///< float [2][n][channels][k]
  Region grad_maps;          ///< float [n][h*w][channels]: channels innermost, as the GEMMs read it
  Region rounded_grad_maps;  ///< the same, of the precision; empty in FP32
  Region grad_out;           ///< kernels::Stored, of one block's `out` at a time: the largest
  Region grad_conv;   ///< of the precision, of one block's `conv` at a time, bordered with zeros; but the first block's
  Region grad_first;  ///< that, [n][h][w][64]: in BF16 in grad_conv's place, else float in that of the first `conv`
  Region packed;      ///< of the precision, one convolution's weight as it or its backward reads it
  Region sums;        ///< double [2][512], over the batch per channel
  Region scratch;     ///< float, partial sums
  Plan arena;
};

TrainingPlan plan_training(const Architecture& architecture, int n, int height, int width,
                           Precision precision = Precision::fp32, bool teacher = false);

/// What persists from step to step: floats laid out by the parameter table, but convolution weights as the kernels read
/// them.
struct TrainingStatePlan {
  Region parameters;  ///< [total_floats]
  Region gradients;   ///< [trainable_floats], like the moments
  Region m;
  Region v;
  Region zeros;          ///< the biases that the ResNet trunk's convolutions have not; never written
  Region norm_partials;  ///< double, of the gradient's norm
  Plan arena;
};

TrainingStatePlan plan_training_state(const ParameterTable& table);

}  // namespace lfm::inline LFM_TARGET
