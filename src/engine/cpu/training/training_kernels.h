// The vector kernels of the CPU engine's training stages: one table of functions per instruction set, compiled from the
// same source (training_kernels.cpp). The mathematics stands at the head of each *-inl.h file. They follow the
// conventions of src/engine/cpu/kernels.h: pointers to channels are 64-byte aligned, strides are in floats, channel
// counts multiples of 64.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/engine/cpu/kernels.h"

namespace lfm::cpu {

/// Training's Winograd is F(4x4, 2x2): 5x5 inputs, 4x4 outputs, 25 products per channel pair. See winograd4-inl.h.
inline constexpr int kInputSide = 5;
inline constexpr int kOutputSide = 4;
inline constexpr int kProducts = kInputSide * kInputSide;

/// Taps of block 1's filters: [top, bottom][left, right][red, green, blue].
inline constexpr int kPatch = 12;

/// y = scale * x + shift per channel: batch norm with known statistics.
struct Affine {
  const float* scale;
  const float* shift;
};

// ---- winograd4-inl.h ----

/// V = B^T d B of one tile, all channels, with d = max(0, norm(in)).
struct InputTile {
  const float* in;  ///< the tile's top-left pixel, channels last
  std::size_t row;
  std::size_t pixel;
  int rows;  ///< of the 5x5, how many lie inside the map; beyond, the last are repeated: a flat map keeps equal bits up to its border
  int columns;
  int channels;
  Affine norm;
  float* v;  ///< the tile's place in slab 0 of product 0
  std::size_t product;
  std::size_t slab;
};

/// Y = A^T M A - centre of one tile, 64 channels; the largest after batch norm of every 2x2; sums for the batch
/// statistics.
struct OutputTile {
  const float* m;
  std::size_t product;
  const float* centre;  ///< [64]
  float* out;           ///< the tile's top-left output
  std::size_t row;
  std::size_t pixel;
  int rows;  ///< of the 4x4, how many lie inside the map
  int columns;
  const float* sign;  ///< [64] of batch norm's scale: -1, 0 or 1
  float* pooled;      ///< null where the block doesn't pool
  std::size_t pooled_row;
  float* sum;     ///< [64], added to
  float* square;  ///< [64], added to
};

/// P = A dY A^T of one tile, 64 channels, with dY the gradient of the convolution's output: batch norm's backward
///   dY = gain * grad + offset + slope * y,  grad scattered to the largest of each 2x2 where the block pools.
struct GradOutputTile {
  const float* out;  ///< what OutputTile wrote
  std::size_t row;
  std::size_t pixel;
  int rows;
  int columns;
  const float* sign;
  const float* grad;  ///< gradient behind batch norm and pooling, ReLU already applied
  std::size_t grad_row;
  bool pool;
  const float* gain;
  const float* offset;
  const float* slope;
  float* p;  ///< the tile's place in product 0
  std::size_t product;
};

/// dX = B dV B^T of one tile, 64 channels, added to what the tiles above and to the left left on the shared row and
/// column.
struct GradInputTile {
  const float* v;
  std::size_t product;
  float* grad;
  std::size_t row;
  std::size_t pixel;
  int rows;  ///< of the 5x5
  int columns;
  bool above;  ///< there is a tile above: the first row is added
  bool left;
};

/// U = G w G^T of 64 filters that lie `filter` floats apart, into 25 rows of panels.
struct FilterTransform {
  const float* w;  ///< four taps
  std::size_t filter;
  float* u;
  int panel;
  std::size_t panel_stride;
  std::size_t product;
};

/// dw = G^T dU G of 64 filters that lie `filter` floats apart; dU is the sum over `slots` partial ones.
struct FilterGradient {
  const float* du;
  std::size_t product;
  int slots;
  std::size_t slot;
  float* dw;
  std::size_t filter;
  bool accumulate;
};

// ---- gemm_outer-inl.h ----

/// C[64][64] (+)= A^T B with A [depth][64] and B [depth][64].
struct OuterProduct {
  int depth;
  const float* a;
  const float* b;
  float* c;
  bool accumulate;
};

// ---- first_block_training-inl.h ----

/// Sums over one row of convolution windows: patch[i] and patch[i] * patch[j].
struct PatchMoments {
  const std::uint8_t* pixels;  ///< the upper of the window's two pixel rows
  std::size_t pixel_row;       ///< bytes
  int first_row;               ///< 0 or 1: is the upper row the first of its cell
  int windows;
  std::int16_t* scratch;  ///< patch_moments_scratch(windows) values
  std::int64_t* sum;      ///< [12], added to
  std::int64_t* product;  ///< [12][12], upper triangle added to
};
constexpr std::size_t patch_row(int windows) { return (static_cast<std::size_t>(windows) + 31) / 32 * 32; }
constexpr std::size_t patch_moments_scratch(int windows) { return kPatch * patch_row(windows); }

/// One row of block 1's pooled output, and which of the four windows won: two bits a value.
struct FirstBlockTrainRow {
  FirstBlockRow row;
  std::uint8_t* winner;  ///< [columns][winner_bytes]
};

/// One row of its backward pass: for each channel the sum of grad * patch of the winner, and of grad.
struct FirstBlockGradRow {
  const std::uint8_t* pixels;
  std::size_t pixel_row;
  int columns;
  const float* out;   ///< [columns][64]; no gradient where ReLU is closed
  const float* grad;  ///< [columns][64]
  const std::uint8_t* winner;
  float* residual;  ///< as in FirstBlockRow
  float* sums;      ///< [13][64]: the 12 taps in the order of FirstBlockRow::weights, then grad; added to
};

// ---- batch_norm-inl.h ----

/// ReLU's backward on pooled values, in place: grad = 0 where norm(x) <= 0; sums of grad and grad * x.
struct ReluGrad {
  std::size_t pixels;
  int channels;
  const float* x;  ///< [pixels][channels]
  Affine norm;
  float* grad;  ///< [pixels][channels]
  float* sum;   ///< [channels], added to
  float* sum_x;
};

/// Block 4 normalised into slabs, what the 1x1 multiplies: out = max(0, norm(x)).
struct NormalizedSlabs {
  int pixels;
  int channels;
  const float* x;  ///< [pixels][channels]
  Affine norm;
  float* out;  ///< [channels/64][pixels][64]
};

// ---- projection-inl.h ----

/// Backward of the 1x1 and of block 4's ReLU at consecutive pixels; most of the maps' gradient is zero and costs
/// nothing.
struct ProjectionGrad {
  int pixels;
  const float* grad_maps;  ///< [pixels][64]
  const float* weight;     ///< [64][512]
  const float* x;          ///< [pixels][512], before batch norm
  Affine norm;
  float* grad;         ///< [pixels][512], behind ReLU's backward
  float* grad_weight;  ///< [64][512], added to
  float* sum;          ///< [512] of grad, added to
  float* sum_x;        ///< [512] of grad * x, added to
};

// ---- resnet-inl.h: of pixels of 64 channels, [pixels][64] ----

/// Sums of x and of its square.
struct ChannelMoments {
  std::size_t pixels;
  const float* x;
  float* sum;     ///< [64], added to
  float* square;  ///< [64], added to
};

/// The end of a bottleneck: out = max(0, norm(x) + shortcut), where the shortcut may have a norm of its own.
struct JoinedPixels {
  std::size_t pixels;
  const float* x;
  Affine norm;
  const float* shortcut;
  Affine shortcut_norm;  ///< null: none
  float* out;
};

/// Its ReLU's backward, in place: grad = 0 where out <= 0; sums of grad, of grad * x and of grad * shortcut.
struct JoinedGrad {
  std::size_t pixels;
  const float* out;
  float* grad;
  const float* x;
  const float* shortcut;  ///< before its norm; null: it has none
  float* sum;             ///< [64], added to, like the next
  float* sum_x;
  float* sum_shortcut;  ///< unless shortcut is null
};

/// Batch norm's backward: out = gain * grad + offset + slope * x. out may be grad.
struct NormGrad {
  std::size_t pixels;
  const float* grad;
  const float* x;
  const float* gain;
  const float* offset;
  const float* slope;
  float* out;
};

// ---- adam-inl.h ----

struct AdamRange {
  std::size_t count;
  float* parameter;
  float* m;
  float* v;
  const float* gradient;
  float beta1, beta2, eps, weight_decay;
  float step_size;            ///< learning rate / (1 - beta1^t)
  float inverse_correction2;  ///< 1 / sqrt(1 - beta2^t)
};

struct TrainingKernels {
  void (*input_tile)(const InputTile&);
  void (*output_tile)(const OutputTile&);
  void (*grad_output_tile)(const GradOutputTile&);
  void (*grad_input_tile)(const GradInputTile&);
  void (*transform_filters)(const FilterTransform&);
  void (*filter_gradient)(const FilterGradient&);
  void (*outer_product)(const OuterProduct&);
  void (*patch_moments)(const PatchMoments&);
  void (*first_block_row)(const FirstBlockTrainRow&);
  void (*first_block_grad_row)(const FirstBlockGradRow&);
  void (*plain_block_row)(const FirstBlockTrainRow&);  ///< of any residual, like the next
  void (*plain_block_grad_row)(const FirstBlockGradRow&);
  void (*relu_grad)(const ReluGrad&);
  void (*normalize)(const NormalizedSlabs&);
  void (*projection_grad)(const ProjectionGrad&);
  void (*channel_moments)(const ChannelMoments&);
  void (*join)(const JoinedPixels&);
  void (*join_grad)(const JoinedGrad&);
  void (*norm_grad)(const NormGrad&);
  void (*adam)(const AdamRange&);
  int winner_bytes;  ///< of one pixel's 64 channels
};

/// The training kernels of the same instruction set.
const TrainingKernels& training_kernels(const Kernels& kernels);

}  // namespace lfm::cpu
