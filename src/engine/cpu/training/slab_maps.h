// Convolutions of the ResNet trunk in training, forward and backward, on maps in slabs of 64 channels: sums of matrix
// products, one of each tap and slab, read where they lie (conv-inl.h), and for the weights' gradient outer products
// (gemm_outer-inl.h). No cut depends on the number of threads.
#pragma once

#include <cstddef>
#include <span>

#include "src/engine/cpu/training/conv_training.h"
#include "src/model/resnet.h"

namespace lfm::cpu {

/// Maps of n images, [channels/64][n][rows][columns][64], with `border` zeros around each image.
struct SlabMaps {
  float* data;
  int n;
  MapSize size;  ///< without the border
  int channels;
  int border = 0;

  int slabs() const { return channels / kSlab; }
  std::size_t pitch() const { return static_cast<std::size_t>(size.w + 2 * border) * kSlab; }
  std::size_t image_floats() const { return static_cast<std::size_t>(size.h + 2 * border) * pitch(); }
  std::size_t slab_floats() const { return static_cast<std::size_t>(n) * image_floats(); }
  std::size_t floats() const { return static_cast<std::size_t>(slabs()) * slab_floats(); }
  /// One image of a slab, its border included.
  float* image(int slab, int index) const {
    return data + (static_cast<std::size_t>(slab) * n + static_cast<std::size_t>(index)) * image_floats();
  }
  /// The first pixel of a row, inside the border.
  float* row(int slab, int index, int y) const {
    return image(slab, index) + static_cast<std::size_t>(y + border) * pitch() +
           static_cast<std::size_t>(border) * kSlab;
  }
};

/// Where convolve() finds a convolution's weights: [outputs/panel][taps][inputs/64][64][panel].
void pack_forward(const Machine& machine, const TrunkConvolution& c, std::span<const float> weight, float* packed);
/// The same for the gradient of its input: inputs and outputs exchanged, the kernel turned by 180 degrees.
void pack_backward(const Machine& machine, const TrunkConvolution& c, std::span<const float> weight, float* packed);

/// out = in convolved + bias [+ shortcut]. in has a border of kernel / 2, out none.
struct SlabConvolution {
  SlabMaps in, out;
  int kernel, stride;
  const float* packed;
  const float* bias;      ///< [out.channels]
  const float* shortcut;  ///< laid out as out, or out's own; null: none
};
void convolve(const Machine& machine, const SlabConvolution& c);

/// from's pixels `stride` apart, zeros between and around them.
void spread(const Machine& machine, const SlabMaps& from, const SlabMaps& to, int stride);

/// The gradient of a convolution's weights: images are dealt to slots, whose sums are added in order.
struct SlabWeightGradient {
  SlabMaps in, grad;  ///< in with a border of kernel / 2, grad without
  int kernel, stride;
  float* slots;                  ///< scratch: slot_count(n) * weights
  float* workers;                ///< scratch: of each thread grad.size.w * 64
  std::span<float> grad_weight;  ///< [grad.channels][in.channels][kernel][kernel]
  GradientMode mode;
};
void weight_gradient(const Machine& machine, const SlabWeightGradient& g);

}  // namespace lfm::cpu
