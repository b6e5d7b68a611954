#include "bench/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "lfm/error.h"
#include "src/engine/precision.h"
#include "src/model/architecture.h"

namespace lfm::bench {

namespace {

// NVIDIA's data sheets: RTX A6000 (GA102 white paper), GeForce RTX 4090 (Ada white paper), H100 SXM5, H200 SXM (the
// same chip with HBM3e).
constexpr std::array<Gpu, 4> kGpus = {{
    {"a6000", "RTX A6000", 38.7, 77.4, 154.8, 768},
    {"4090", "GeForce RTX 4090", 82.6, 82.6, 165.2, 1008},
    {"h100", "H100 SXM", 66.9, 494.7, 989.4, 3350},
    {"h200", "H200 SXM", 66.9, 494.7, 989.4, 4800},
}};

double count(int a, int b, int c = 1) { return static_cast<double>(a) * b * c; }

double item_bytes(Precision precision) {
  return precision == Precision::fp16 || precision == Precision::bf16 ? 2 : 4;
}  // a value's

enum class Method { direct, winograd, tensor_cores };

// value: bytes of an activation or weight. Winograd: nine products a window instead of 16, and nine weights instead of
// four; its transforms add two in a hundred.
KernelWork convolution(int block, const NetworkShape& shape, Method method, double value) {
  static constexpr const char* names[] = {"conv2x2_direct", "conv2x2_winograd", "conv2x2_tensor"};
  const MapSize in = shape.out[block - 1], out = shape.out[block];
  const bool pooled = block + 1 < kBlocks, winograd = method == Method::winograd;
  const double ic = kChannels[block], oc = kChannels[block + 1];
  const double windows = pooled ? count(out.area(), 1) : count((out.h + 1) / 2, (out.w + 1) / 2);
  const double products = winograd ? 9 * windows : pooled ? 16 * windows : 4.0 * out.area();
  return {fmt::format("{}, block {}", names[static_cast<int>(method)], block + 1), 2 * products * ic * oc,
          (in.area() * ic + out.area() * oc) * value, (winograd ? 9 : 4) * ic * oc * value,
          method == Method::tensor_cores};
}

// Bytes of kernels::Stored.
double stored_value(Precision precision) { return precision == Precision::bf16 ? 2 : 4; }

}  // namespace

const Gpu& find_gpu(std::string_view key) {
  for (const Gpu& gpu : kGpus) {
    if (gpu.key == key) return gpu;
  }
  throw Error(ErrorCode::usage, fmt::format("no data sheet of a GPU '{}' here; there are {}", key, gpu_keys()));
}

std::string gpu_keys() {
  std::string keys;
  for (const Gpu& gpu : kGpus) keys += fmt::format("{}{}", keys.empty() ? "" : ", ", gpu.key);
  return keys;
}

std::vector<KernelWork> inference_kernels(Precision precision, int size) {
  const NetworkShape shape = network_shape({}, size, size);
  const bool tensor = precision != Precision::fp32;
  const double value = item_bytes(precision);
  const double maps = count(shape.maps().area(), kMapChannels), features = count(kMapChannels, Architecture{}.k);

  // Pooled outputs of the first block see 36 products of their 48: a quarter of the residual is always zero.
  constexpr double first_products = 36;
  const double first = count(shape.out[0].area(), kChannels[1]);
  std::vector<KernelWork> kernels = {{"first_block", 2 * first * first_products, count(size, size, 3) + first * value,
                                      4.0 * 12 * kChannels[1], false}};
  for (int b = 1; b < kBlocks; ++b)
    kernels.push_back(convolution(b, shape, tensor ? Method::tensor_cores : Method::winograd, value));
  const double projected = 2 * maps * kChannels[kBlocks],
               projection_weights = count(kChannels[kBlocks], kMapChannels) * value;
  if (tensor) {  // in the last block's kernel; its 512 channels are never stored
    KernelWork& last = kernels.back();
    last.kernel = "last_block_tensor";
    last.flops += projected;
    last.activation_bytes = shape.out[kBlocks - 2].area() * kChannels[kBlocks - 1] * value + maps * 4;
    last.weight_bytes += projection_weights;
    kernels.push_back({"pool_head", 2 * features, maps * 4 + 4, features * 4, false});
  } else {
    kernels.push_back({"projection", projected, shape.maps().area() * kChannels[kBlocks] * 4.0 + maps * 4,
                       projection_weights, false});
    kernels.push_back({"topk_pool", 0, (maps + features) * 4, 0, false});
    kernels.push_back({"head", 2 * features, features * 4 + 4, features * 4, false});
  }
  return kernels;
}

KernelWork training_convolution(TrainingPass pass, int block, Precision precision, int batch, int size) {
  static constexpr const char* names[] = {"convolution", "gradient of the input", "gradient of the weight"};
  const NetworkShape shape = network_shape({}, size, size);
  const MapSize in = shape.out[block - 1], out = shape.conv[block];
  const double ic = kChannels[block], oc = kChannels[block + 1], value = item_bytes(precision), weights = 4 * ic * oc;
  const double inputs = in.area() * ic, bordered = count(in.h + 1, in.w + 1) * oc;
  KernelWork work{fmt::format("{}, block {}", names[static_cast<int>(pass)], block + 1), 2 * weights * out.area(), 0,
                  weights * value, precision != Precision::fp32};
  switch (pass) {
    case TrainingPass::forward:
      work.activation_bytes = inputs * value + out.area() * oc * stored_value(precision);
      break;
    case TrainingPass::input_gradient:
      work.activation_bytes = bordered * value + inputs * stored_value(precision);
      break;
    case TrainingPass::weight_gradient: {
      work.activation_bytes = (inputs + bordered) * value;
      // A block's tile of the gradient; and the slices' tiles of positions, of which there are enough at any size that
      // is trained.
      const double rows = precision == Precision::fp32 ? 128 : 4 * 64 / value, tiles = weights / (rows * 128);
      const double slices =
          std::max(1.0, std::min(std::floor(256 / tiles), static_cast<double>(batch) * out.area() / 64));
      work.weight_bytes = weights * 4 * (2 * slices + 1);
      break;
    }
  }
  return work;
}

KernelWork training_normalisation(int block, Precision precision, int size) {
  const NetworkShape shape = network_shape({}, size, size);
  const double c = kChannels[block + 1], x = shape.conv[block].area() * c, y = shape.out[block].area() * c,
               value = item_bytes(precision), stored = stored_value(precision);
  const MapSize& conv = shape.conv[block];
  const double grad_x = block == 0 ? x * stored : count(conv.h + 2, conv.w + 2) * c * value;
  return {fmt::format("batch norm, ReLU{}, block {}", block + 1 < kBlocks ? ", pooling" : "", block + 1), 0,
          4 * x * (block == 0 ? 4 : stored) + 2 * y * stored + y * value + grad_x, 0, false};
}

std::array<KernelWork, 3> training_projection(Precision precision, int size) {
  const double area = network_shape({}, size, size).maps().area(), value = item_bytes(precision);
  const double maps = area * kMapChannels, wide = area * kChannels[kBlocks], flops = 2 * maps * kChannels[kBlocks];
  const double weights = count(kChannels[kBlocks], kMapChannels);
  const bool tensor = precision != Precision::fp32;
  return {
      {{"1x1", flops, wide * value + maps * 4, weights * value, tensor},
       {"1x1, gradient of the input", flops, maps * value + wide * stored_value(precision), weights * value, tensor},
       {"1x1, gradient of the weight", flops, (wide + maps) * value, weights * 4, tensor}}};
}

std::array<KernelWork, 2> training_first_conv(Precision precision, int size) {
  const double outputs = count(network_shape({}, size, size).conv[0].area(), kChannels[1]),
               pixels = count(size, size, 3);
  constexpr double products = 12, weights = 12 * kChannels[1] * 4;
  return {{{"first_conv", 2 * outputs * products, pixels + outputs * 4, weights, false},
           {"first_conv, gradient of the weight", 2 * outputs * products, pixels + outputs * stored_value(precision),
            weights, false}}};
}

std::vector<KernelWork> training_kernels(Precision precision, int batch, int size) {
  const auto first = training_first_conv(precision, size);
  std::vector<KernelWork> kernels(first.begin(), first.end());
  for (int b = 1; b < kBlocks; ++b) {
    for (const TrainingPass pass :
         {TrainingPass::forward, TrainingPass::input_gradient, TrainingPass::weight_gradient}) {
      kernels.push_back(training_convolution(pass, b, precision, batch, size));
    }
  }
  for (const KernelWork& work : training_projection(precision, size)) kernels.push_back(work);
  for (int b = 0; b < kBlocks; ++b) kernels.push_back(training_normalisation(b, precision, size));
  kernels.push_back({"adam", 0, 0, 7.0 * 4 * static_cast<double>(parameter_table({}).trainable_floats), false});
  return kernels;
}

KernelWork direct_convolution(int block, int size) {
  return convolution(block, network_shape({}, size, size), Method::direct, 4);
}

Bound bound_of(const KernelWork& work, const Gpu& gpu, Precision precision, int batch) {
  const double peak = !work.tensor_cores ? gpu.fp32 : precision == Precision::tf32 ? gpu.tf32 : gpu.fp16;
  return {work.flops / peak / 1e6, (work.activation_bytes + work.weight_bytes / batch) / gpu.bandwidth / 1e3};
}

std::string roofline_table(const Gpu& gpu, const std::vector<KernelWork>& kernels, Precision precision, int batch,
                           int size) {
  std::string table = fmt::format(
      "{}, {}, batches of {} images of {}x{}: bounds, not measurements\n\n"
      "| kernel | MFLOP an image | KB an image | FLOP/byte | least us an image | limiter |\n"
      "| --- | ---: | ---: | ---: | ---: | --- |\n",
      gpu.name, precision_name(precision), batch, size, size);
  double total = 0;
  for (const KernelWork& work : kernels) {
    const Bound bound = bound_of(work, gpu, precision, batch);
    const double bytes = work.activation_bytes + work.weight_bytes / batch;
    total += bound.us();
    table += fmt::format("| {} | {:.1f} | {:.0f} | {:.1f} | {:.3f} | {} |\n", work.kernel, work.flops / 1e6,
                         bytes / 1e3, work.flops / bytes, bound.us(),
                         bound.memory_us > bound.compute_us ? "memory"
                         : work.tensor_cores                ? "tensor cores"
                                                            : "FFMA");
  }
  return table + fmt::format("| all | | | | {:.3f} | {:.0f} images/s |\n", total, 1e6 / total);
}

}  // namespace lfm::bench
