// The CUDA engine's inference. Images cross on one stream and are computed on another; events pass them over.
#include "src/engine/cuda/cuda_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/average_pool.h"
#include "kernels/conv2x2.h"
#include "kernels/first_block.h"
#include "kernels/head.h"
#include "kernels/projection.h"
#include "kernels/topk_pool.h"
#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/precision.h"
#include "src/model/fold.h"

namespace lfm::inline LFM_TARGET {

namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 30;  // of activations: enough images to fill any GPU
constexpr int kMaxChunk = 256;

}  // namespace

CudaEngine::CudaEngine(int ordinal, std::string description)
    : context_(ordinal),
      description_(std::move(description)),
      upload_(context_),
      compute_(context_),
      slots_{UploadSlot(context_), UploadSlot(context_)} {}

std::string CudaEngine::description() const { return fmt::format("{} ({})", description_, context_.name()); }

void CudaEngine::load(const Architecture& architecture, std::span<const float> values) {
  if (architecture.pooling == Pooling::topk && architecture.k > kernels::kMaxTopK) {
    throw Error(ErrorCode::model, fmt::format("the model selects k = {} values per channel; this engine can up to {}: use --device cpu",
                                              architecture.k, kernels::kMaxTopK));
  }
  const ParameterTable table = parameter_table(architecture);
  if (values.size() != table.total_floats) {
    throw Error(ErrorCode::model, fmt::format("the model has {} floats, its architecture needs {}", values.size(), table.total_floats));
  }
  context_.make_current();
  compute_.synchronize();
  training_.reset();
  trained_ = false;
  pass_ = PlanMode::inference;
  if (architecture != architecture_) plan_ = {};
  architecture_ = architecture;
  parameters_.assign(values.begin(), values.end());
  upload_weights(values);
}

// Folds and packs the parameters as the inference kernels want them.
void CudaEngine::upload_weights(std::span<const float> values) {
  const ParameterTable table = parameter_table(architecture_);
  const WeightPlan plan = plan_weights(architecture_);
  device::PinnedMemory staging(context_, plan.bytes);
  const auto put = [&](const Region& region, std::span<const float> packed) {
    std::memcpy(staging.data() + region.offset, packed.data(), region.bytes());
  };
  const auto blocks = fold_blocks(table, values);
  for (int b = 0; b < kBlocks; ++b) {
    put(plan.weight[b], pack_weight(blocks[b].weight, kChannels[b + 1], kChannels[b], 4));
    put(plan.bias[b], blocks[b].bias);
  }
  put(plan.projection, pack_weight(parameter(values, table, kProjection), kMapChannels, kChannels[kBlocks], 1));
  put(plan.head_weight, parameter(values, table, kHeadWeight));
  put(plan.head_bias, parameter(values, table, kHeadBias));

  if (weights_.bytes() != plan.bytes) weights_ = device::Memory(context_, plan.bytes);
  compute_.copy_to_device(weights_.data(), staging.data(), plan.bytes);
  compute_.synchronize();
  weight_plan_ = plan;
}

void CudaEngine::reserve(const PlanRequest& request) {
  if (request.mode == PlanMode::training) return training().reserve(request);
  if (request.n <= plan_.n && request.height == plan_.height && request.width == plan_.width) return;
  context_.make_current();
  InferencePlan plan = plan_inference(architecture_, request.n, request.height, request.width);
  upload_.synchronize();
  compute_.synchronize();
  plan_ = {};  // nothing is planned should an allocation fail
  n_ = 0;
  if (arena_.bytes() < plan.bytes) {
    arena_ = {};
    arena_ = device::Memory(context_, plan.bytes);
  }
  for (UploadSlot& slot : slots_) {
    if (slot.staging.bytes() >= plan.pixels[0].bytes()) continue;
    slot.staging = {};
    slot.staging = device::PinnedMemory(context_, plan.pixels[0].bytes());
  }
  if (logits_.bytes() < plan.logits.bytes()) logits_ = device::PinnedMemory(context_, plan.logits.bytes());
  plan_ = plan;
}

std::size_t CudaEngine::arena_bytes(const PlanRequest& request) const {
  if (request.mode == PlanMode::training) return plan_training(architecture_, request.n, request.height, request.width).bytes;
  return plan_inference(architecture_, request.n, request.height, request.width).bytes;
}

int CudaEngine::inference_chunk(int height, int width) const {
  const std::size_t image = plan_inference(architecture_, 1, height, width).bytes;
  return static_cast<int>(std::clamp<std::size_t>(kChunkBytes / image, 1, kMaxChunk));
}

// pixels -> residual -> conv, norm, ReLU, pool
void CudaEngine::infer_first_block(const PixelBatch& batch) {
  if (batch.n < 1 || batch.n > plan_.n || batch.height != plan_.height || batch.width != plan_.width) {
    throw Error(ErrorCode::usage, fmt::format("no room was reserved for {} images of {}x{}", batch.n, batch.width, batch.height));
  }
  context_.make_current();
  refresh_weights();
  pass_ = PlanMode::inference;
  n_ = batch.n;
  const std::size_t index = std::exchange(next_slot_, next_slot_ ^ 1);
  UploadSlot& slot = slots_[index];
  const std::size_t bytes = std::size_t{3} * batch.n * batch.height * batch.width;
  auto* pixels = activation<std::uint8_t>(plan_.pixels[index]);

  slot.uploaded.synchronize();
  std::memcpy(slot.staging.data(), batch.pixels, bytes);
  slot.consumed.make_wait(upload_);
  upload_.copy_to_device(pixels, slot.staging.data(), bytes);
  slot.uploaded.record(upload_);

  slot.uploaded.make_wait(compute_);
  kernels::first_block(activation(plan_.blocks[0]), pixels, weight(weight_plan_.weight[0]), weight(weight_plan_.bias[0]), n_,
                       plan_.height, plan_.width, compute_.handle());
  slot.consumed.record(compute_);
}

void CudaEngine::convolve(int block) {
  context_.make_current();
  const MapSize& in = plan_.shape.out[block - 1];
  kernels::conv2x2({.output = activation(plan_.blocks[block]),
                    .input = activation(plan_.blocks[block - 1]),
                    .weight = weight(weight_plan_.weight[block]),
                    .bias = weight(weight_plan_.bias[block]),
                    .n = n_,
                    .h = in.h,
                    .w = in.w,
                    .ic = kChannels[block],
                    .oc = kChannels[block + 1]},
                   block + 1 < kBlocks ? kernels::Epilogue::bias_relu_pool : kernels::Epilogue::bias_relu, compute_.handle());
}

void CudaEngine::infer_block(int block) { convolve(block); }

void CudaEngine::infer_last_block() {
  convolve(kBlocks - 1);
  kernels::projection(activation(plan_.maps), activation(plan_.blocks[kBlocks - 1]), weight(weight_plan_.projection), n_,
                      plan_.shape.maps().area(), kChannels[kBlocks], compute_.handle());
}

void CudaEngine::infer_pool() {
  context_.make_current();
  const int rows = n_ * kMapChannels, area = plan_.shape.maps().area();
  if (architecture_.pooling == Pooling::topk) {
    kernels::topk_pool(activation(plan_.features), nullptr, activation(plan_.maps), rows, area, architecture_.k, compute_.handle());
  } else {
    kernels::average_pool(activation(plan_.features), activation(plan_.maps), rows, area, compute_.handle());
  }
}

void CudaEngine::infer_head(std::span<float> logits) {
  context_.make_current();
  kernels::head(activation(plan_.logits), activation(plan_.features), weight(weight_plan_.head_weight),
                weight(weight_plan_.head_bias), n_, feature_count(architecture_), compute_.handle());
  const std::size_t bytes = static_cast<std::size_t>(n_) * sizeof(float);
  compute_.copy_to_host(logits_.data(), activation(plan_.logits), bytes);
  compute_.synchronize();
  std::memcpy(logits.data(), logits_.data(), bytes);
}

// The first n images of a region, as it lies on the device.
std::vector<float> CudaEngine::download(const Region& region, int n) {
  context_.make_current();
  const std::size_t count = region.count() / static_cast<std::size_t>(plan_.n) * static_cast<std::size_t>(n);
  const device::PinnedMemory staging(context_, count * sizeof(float));
  compute_.copy_to_host(staging.data(), activation(region), count * sizeof(float));
  compute_.synchronize();
  std::vector<float> values(count);
  std::memcpy(values.data(), staging.data(), count * sizeof(float));
  return values;
}

std::optional<std::vector<float>> CudaEngine::read(Activation activation) {
  if (pass_ == PlanMode::training) return training().read(activation);
  if (n_ == 0 || plan_.n == 0) return std::nullopt;
  const auto block = [&](int b) {
    const Region& region = plan_.blocks[b];
    return channels_first(download(region, n_), n_, region.shape[1] * region.shape[2], region.shape[3]);
  };
  switch (activation) {
    case Activation::block1: return block(0);
    case Activation::block2: return block(1);
    case Activation::block3: return block(2);
    case Activation::block4: return block(3);
    case Activation::maps: return download(plan_.maps, n_);
    case Activation::features: return download(plan_.features, n_);
    case Activation::grad_maps: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace lfm::inline LFM_TARGET

namespace lfm {

#if defined(LFM_TARGET_EMULATED)

std::unique_ptr<Engine> make_emulated_engine(Precision precision) {
  require_precision(precision, "the emulated device", {Precision::fp32});
  return std::make_unique<CudaEngine>(0, "emulated");
}

#else

std::unique_ptr<Engine> make_cuda_engine(int device, Precision precision) {
  require_precision(precision, "the CUDA engine", {Precision::fp32});
  const CudaDevices found = cuda_devices();
  if (found.devices.empty()) {
    throw Error(ErrorCode::device, fmt::format("no CUDA device can be used: {}; --device cpu works everywhere", found.reason));
  }
  const auto known = std::find_if(found.devices.begin(), found.devices.end(), [&](const CudaDevice& d) { return d.ordinal == device; });
  if (known == found.devices.end()) {
    std::string list;
    for (const CudaDevice& d : found.devices) list += fmt::format("{}cuda:{} ({})", list.empty() ? "" : ", ", d.ordinal, d.name);
    throw Error(ErrorCode::device, fmt::format("there is no cuda:{}; this machine has {}", device, list));
  }
  return std::make_unique<CudaEngine>(device, fmt::format("cuda:{}", device));
}

#endif

}  // namespace lfm
