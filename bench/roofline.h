// What a GPU could at most reach on this network, from its data sheet and the shapes alone. Bounds, not measurements.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "lfm/precision.h"

namespace lfm::bench {

/// Peaks of the data sheet, dense; TFLOP/s with FP32 sums, GB/s.
struct Gpu {
  std::string_view key;
  std::string_view name;
  double fp32, tf32, fp16;  ///< bf16 as fp16
  double bandwidth;
};

/// Throws Error{usage} for a key that is not among gpu_keys().
const Gpu& find_gpu(std::string_view key);

/// For people: "a6000, 4090, h100, h200".
std::string gpu_keys();

/// One kernel of a pass, for one image.
struct KernelWork {
  std::string kernel;
  double flops = 0;             ///< two for each multiply-add that is done
  double activation_bytes = 0;  ///< read and written once
  double weight_bytes = 0;      ///< once a batch
  bool tensor_cores = false;
};

/// The kernels of inference at size x size: with fp32 those of the FP32 path, whose convolutions are Winograd's, else
/// those of the tensor cores.
std::vector<KernelWork> inference_kernels(Precision precision, int size);

enum class TrainingPass { forward, input_gradient, weight_gradient };

/// The convolution of block 1, 2 or 3 (from 0) in training, at size x size: unpooled, its outputs and the gradient of
/// its input in FP32, what it multiplies of the precision. The weight's gradient leaves partial sums
/// (kernels/partial_sums.h), which are written and read once a batch.
KernelWork training_convolution(TrainingPass pass, int block, Precision precision, int batch, int size);

/// What batch norm, ReLU and pooling move of a block: statistics and values forward, sums and values backward.
KernelWork training_normalisation(int block, Precision precision, int size);

/// The 1x1 convolution of training: forward, the gradient of its input, of its weight.
std::array<KernelWork, 3> training_projection(Precision precision, int size);

/// The first block's convolution: forward, and the gradient of its weight; it has no other.
std::array<KernelWork, 2> training_first_conv(Precision precision, int size);

/// The kernels of a training step that move more than a few hundred KB an image; the last is Adam.
std::vector<KernelWork> training_kernels(Precision precision, int batch, int size);

/// The convolution of block 1, 2 or 3 (from 0) in FP32 with the products of its definition.
KernelWork direct_convolution(int block, int size);

struct Bound {
  double compute_us = 0;  ///< for one image, in a batch
  double memory_us = 0;
  double us() const { return compute_us > memory_us ? compute_us : memory_us; }
};
Bound bound_of(const KernelWork& work, const Gpu& gpu, Precision precision, int batch);

/// Markdown: each kernel's work, intensity, bound and limiter, and images/s if every kernel reached its bound. kernels:
/// those of inference_kernels() or training_kernels().
std::string roofline_table(const Gpu& gpu, const std::vector<KernelWork>& kernels, Precision precision, int batch,
                           int size);

}  // namespace lfm::bench
