// The operations of LFM in double precision, as docs/METHOD.md, sections 2-6 state them: plain loops, every
// intermediate value kept, nothing fused or folded. Tests of every engine and kernel trust these, and central
// differences check them.
//
// Forward functions return their result; backward functions take the gradient of their output and return the gradient
// of their input. Gradients of parameters are ADDED to what the caller passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/engine/engine.h"
#include "src/model/front_end.h"

namespace lfm::reference {

/// values[n][c][h][w]
struct Maps {
  int n = 0, c = 0, h = 0, w = 0;
  std::vector<double> values;

  Maps() = default;
  Maps(int images, int channels, int height, int width)
      : n(images),
        c(channels),
        h(height),
        w(width),
        values(static_cast<std::size_t>(images) * channels * height * width) {}
  std::size_t area() const { return static_cast<std::size_t>(h) * w; }
  double* plane(int image, int channel) {
    return values.data() + (static_cast<std::size_t>(image) * c + channel) * area();
  }
  const double* plane(int image, int channel) const { return const_cast<Maps*>(this)->plane(image, channel); }
};

// ---- residual.cpp ----

/// The front end's residual of the normalised images, [n][3] of its input_size().
Maps residual(const FrontEndRow& front_end, const PixelBatch& batch,
              Normalisation normalisation = Normalisation::imagenet);

// ---- convolution.cpp ----

/// y[o][r][s] = bias[o] + sum over i, dr, ds in {0, 1} of weight[o][i][dr][ds] * x[i][r+dr][s+ds]. No padding: y is one
/// row and one column smaller. An empty bias counts as zero. weight [oc][x.c][2][2], oc from its size.
Maps conv2x2(const Maps& x, std::span<const double> weight, std::span<const double> bias);
/// Gradient of x; ic = channels of x.
Maps conv2x2_backward_input(const Maps& grad_y, std::span<const double> weight, int ic);
void conv2x2_backward_weight(const Maps& x, const Maps& grad_y, std::span<double> grad_weight);

/// The 1x1 convolution without bias: y[o] = sum over i of weight[o][i] * x[i] at every position. weight [oc][x.c].
Maps project(const Maps& x, std::span<const double> weight);
Maps project_backward_input(const Maps& grad_y, std::span<const double> weight, int ic);
void project_backward_weight(const Maps& x, const Maps& grad_y, std::span<double> grad_weight);

/// The convolution of the ResNet trunk: kernel x kernel, `stride` apart, padding (kernel - 1)/2, no bias. weight
/// [oc][x.c][kernel][kernel].
Maps conv(const Maps& x, std::span<const double> weight, int kernel, int stride);
/// Gradient of x, whose channels, height and width are like's.
Maps conv_backward_input(const Maps& grad_y, std::span<const double> weight, int kernel, int stride, const Maps& like);
void conv_backward_weight(const Maps& x, const Maps& grad_y, int kernel, int stride, std::span<double> grad_weight);

// ---- batch_norm.cpp ----

/// Of one layer's input over images and positions, per channel.
struct BatchStatistics {
  std::vector<double> mean;
  std::vector<double> variance;  ///< biased: the mean squared deviation
  double count = 0;              ///< images x positions, over all processes
};
BatchStatistics batch_statistics(const Maps& x, const Communicator& communicator = {});

/// y = (x - mean)/sqrt(variance + eps) * scale + shift, with batch statistics in training, running ones in inference.
Maps batch_norm(const Maps& x, std::span<const double> mean, std::span<const double> variance,
                std::span<const double> scale, std::span<const double> shift);
/// Differentiates through the batch statistics as well.
Maps batch_norm_backward(const Maps& x, const BatchStatistics& statistics, std::span<const double> scale,
                         const Maps& grad_y, std::span<double> grad_scale, std::span<double> grad_shift,
                         const Communicator& communicator = {});
/// running += momentum * (batch - running), with the unbiased variance, as PyTorch does; rounded to float,
/// the precision that checkpoints keep.
void update_running_statistics(const BatchStatistics& batch, std::span<double> running_mean,
                               std::span<double> running_var);

// ---- relu_max_pool.cpp ----

Maps relu(const Maps& x);
Maps relu_backward(const Maps& x, const Maps& grad_y);  ///< zero where x <= 0

/// The largest of each 2x2 cell; an odd last row or column is dropped.
Maps max_pool2x2(const Maps& x);
Maps max_pool2x2_backward(const Maps& x, const Maps& grad_y);  ///< all to the first largest in reading order

/// The largest of each window of 3x3, two apart, padding 1.
Maps max_pool3x3(const Maps& x);
Maps max_pool3x3_backward(const Maps& x, const Maps& grad_y);  ///< likewise to the first largest; windows overlap

/// y += x.
void add(Maps& y, const Maps& x);

// ---- pooling.cpp: TKP, RBLD, RKS ----

/// For each image and channel k positions of its map and the values there, largest first; equal values by lower
/// position.
struct Selection {
  int n = 0, c = 0, k = 0;
  std::vector<std::int32_t> position;  ///< [n][c][k]
  std::vector<double> value;           ///< [n][c][k]
};
Selection select_topk(const Maps& maps, int k);
/// The values at given positions [n][c][k] (in any order), sorted as above.
Selection select_at(const Maps& maps, std::span<const std::int32_t> positions, int k);
/// grad_maps[position] += grad_value for every selected position.
void select_backward(const Selection& selection, std::span<const double> grad_value, Maps& grad_maps);

/// [n][c][k] factors on the selected values: 0 where dropped, the rank's scale (src/model/rbld.h) where kept.
std::vector<double> rbld_factors(const TrainingOptions& options, int k, std::span<const std::uint8_t> keep);

/// Draws of a micro-batch from the counter-based generator (src/random/philox.h).
std::vector<std::uint8_t> draw_rbld_keep(const TrainingOptions& options, const DrawKey& key, int n, int c, int k);
std::vector<std::int32_t> draw_rks_positions(const DrawKey& key, int n, int c, int k, int area);

/// Global average pooling, the ablation's baseline: [n][c].
std::vector<double> average_pool(const Maps& maps);
void average_pool_backward(std::span<const double> grad_value, Maps& grad_maps);

// ---- head.cpp ----

/// y[i][o] = bias[o] + sum over f of weight[o][f] * x[i][f]. x [n][features], weight [outputs][features].
std::vector<double> head(std::span<const double> x, std::span<const double> weight, std::span<const double> bias);
/// Gradient of x from that of y [n][outputs].
std::vector<double> head_backward(std::span<const double> x, std::span<const double> weight,
                                  std::span<const double> grad_y, std::span<double> grad_weight,
                                  std::span<double> grad_bias);

/// Binary cross-entropy of sigmoid(logit) against label 0 or 1, stable for any logit; and its derivative.
double bce_with_logits(double logit, double label);
double bce_with_logits_derivative(double logit, double label);

/// Cross-entropy -log softmax(y)[label] of outputs y against the one that is right, stable for any; and its derivative
/// by output o.
double softmax_cross_entropy(std::span<const double> y, std::size_t label);
double softmax_cross_entropy_derivative(std::span<const double> y, std::size_t label, std::size_t o);

// ---- distillation.cpp ----

/// d^2 / 2 where |d| < 1, else |d| - 1/2; and its derivative.
double smooth_l1(double difference);
double smooth_l1_derivative(double difference);

/// Sum over images of the mean over channels and positions of smooth_l1((maps - teacher) * scale[channel]); weight
/// times its gradient is added to grad_maps. teacher [n][c][h][w].
double map_distance(const Maps& maps, std::span<const float> teacher, std::span<const float> scale, double weight,
                    Maps& grad_maps);
/// Sum over images of smooth_l1((logit - teacher) * scale); weight times its gradient is added to grad_logits [n].
double logit_distance(std::span<const double> logits, std::span<const float> teacher, double scale, double weight,
                      std::span<double> grad_logits);

// ---- adam.cpp ----

/// One step of torch.optim.Adam on arrays of one length; step counts from 1. Parameters and moments are rounded to
/// float, the precision that checkpoints keep, so a resumed run repeats an uninterrupted one.
void adam(const AdamOptions& options, std::uint64_t step, std::span<const double> gradient, std::span<double> parameter,
          std::span<float> m, std::span<float> v);

}  // namespace lfm::reference
