#include "src/engine/cpu/cpu_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "lfm/error.h"

namespace lfm {

std::unique_ptr<Engine> make_cpu_engine(int threads) {
  return std::make_unique<cpu::CpuEngine>(threads, cpu::choose_kernels(std::getenv("LFM_CPU")));
}

namespace cpu {
namespace {

constexpr std::size_t kAlign = 16;  // floats

/// Hands out places in the arena.
class Layout {
 public:
  std::size_t add(std::size_t floats) {
    const std::size_t offset = total_;
    total_ += (floats + kAlign - 1) / kAlign * kAlign;
    return offset;
  }
  std::size_t total() const { return total_; }

 private:
  std::size_t total_ = 0;
};

std::size_t first_block_floats(const NetworkShape& shape) { return (first_block_scratch(shape.out[0].w) + kAlign - 1) / kAlign * kAlign; }

}  // namespace

CpuEngine::CpuEngine(int threads, const Kernels& kernels) : kernels_(kernels), pool_(threads) {}

std::string CpuEngine::description() const {
  return fmt::format("cpu ({}, {} thread{})", kernels_.title, pool_.threads(), pool_.threads() == 1 ? "" : "s");
}

void CpuEngine::load(const Architecture& architecture, std::span<const float> values) {
  architecture_ = architecture;
  parameters_.assign(values.begin(), values.end());
  weights_ = pack_weights(architecture, values, kernels_, pool_);
  plan_ = {};
}

ConvShape CpuEngine::conv_shape(const InferencePlan& plan, int block) const {
  return {plan.n, plan.shape.out[block - 1], plan.shape.out[block], kChannels[block], kChannels[block + 1], block + 1 < kBlocks};
}

InferencePlan CpuEngine::plan_inference(int n, int height, int width) const {
  InferencePlan plan;
  plan.n = n;
  plan.shape = network_shape(architecture_, height, width);
  const std::size_t images = static_cast<std::size_t>(n);
  const std::size_t threads = static_cast<std::size_t>(pool_.threads());
  Layout layout;
  for (std::size_t b = 0; b < 3; ++b) plan.block[b] = layout.add(images * plan.shape.out[b].area() * kChannels[b + 1]);
  plan.last = layout.add(images * plan.shape.maps().area() * kChannels[kBlocks]);
  plan.maps = layout.add(images * plan.shape.maps().area() * kMapChannels);
  plan.features = layout.add(images * feature_count(architecture_));

  const std::size_t topk = static_cast<std::size_t>(kMapChannels) * architecture_.k;
  std::size_t scratch = threads * std::max(first_block_floats(plan.shape), topk);
  for (int block = 1; block < kBlocks; ++block) {
    const ConvPlan conv = plan_conv(conv_shape(plan, block), pool_.threads());
    scratch = std::max(scratch, conv.shared_floats + threads * conv.worker_floats);
    plan.conv[static_cast<std::size_t>(block - 1)] = conv;
  }
  plan.scratch = layout.add(scratch);
  plan.total = layout.total();
  return plan;
}

void CpuEngine::reserve(const PlanRequest& request) {
  if (request.mode == PlanMode::training) throw Error(ErrorCode::usage, "training on the cpu engine is not available");
  plan_ = plan_inference(request.n, request.height, request.width);
  if (arena_.size() < plan_.total) {
    arena_ = {};
    arena_ = Buffer(plan_.total);
  }
}

std::size_t CpuEngine::arena_bytes(const PlanRequest& request) const {
  if (request.mode == PlanMode::training) throw Error(ErrorCode::usage, "training on the cpu engine is not available");
  return plan_inference(request.n, request.height, request.width).total * sizeof(float);
}

int CpuEngine::inference_chunk(int height, int width) const {
  constexpr std::int64_t pixels = 4 * 256 * 256;
  return static_cast<int>(std::clamp<std::int64_t>(pixels / (std::int64_t{height} * width), 1, 16));
}

void CpuEngine::infer_first_block(const PixelBatch& batch) {
  if (batch.n > plan_.n || network_shape(architecture_, batch.height, batch.width).input != plan_.shape.input) {
    throw Error(ErrorCode::usage, "the batch is not the one that room was reserved for");
  }
  if (batch.n != plan_.n) plan_ = plan_inference(batch.n, batch.height, batch.width);
  const MapSize out = plan_.shape.out[0];
  const std::size_t row_bytes = std::size_t{3} * batch.width;
  const std::size_t scratch = first_block_floats(plan_.shape);
  constexpr int rows = 4;  // output rows of a task
  const int per_image = (out.h + rows - 1) / rows;
  pool_.run(batch.n * per_image, [&](int task, int worker) {
    const int image = task / per_image, first = task % per_image * rows;
    for (int y = first; y < std::min(out.h, first + rows); ++y) {
      const std::size_t pixel_row = static_cast<std::size_t>(image) * batch.height + 2 * y;
      kernels_.first_block_row({batch.pixels + pixel_row * row_bytes, row_bytes, out.w, weights_.first.data(),
                                weights_.first_bias.data(), arena_.data() + plan_.scratch + worker * scratch,
                                arena_.data() + plan_.block[0] +
                                    (static_cast<std::size_t>(image) * out.h + y) * out.w * kChannels[1]});
    }
  });
}

void CpuEngine::infer_block(int block) {
  const std::size_t b = static_cast<std::size_t>(block);
  const std::size_t oc = static_cast<std::size_t>(kChannels[b + 1]);
  conv_block(conv_shape(plan_, block), plan_.conv[b - 1], weights_.conv[b - 1], arena_.data() + plan_.block[b - 1],
             {arena_.data() + plan_.block[b], oc, 64}, arena_.data() + plan_.scratch, kernels_, pool_);
}

void CpuEngine::infer_last_block() {
  const int pixels = plan_.n * plan_.shape.maps().area();
  const std::size_t slab = static_cast<std::size_t>(pixels) * kSlab;
  float* last = arena_.data() + plan_.last;
  conv_block(conv_shape(plan_, 3), plan_.conv[2], weights_.conv[2], arena_.data() + plan_.block[2], {last, kSlab, slab},
             arena_.data() + plan_.scratch, kernels_, pool_);

  // The 1x1: [pixels][512] x [512][64].
  constexpr int rows = 56;  // pixels of a task
  pool_.run((pixels + rows - 1) / rows, [&](int task, int) {
    const int first = task * rows;
    for (int p = 0; p < kMapChannels / kernels_.panel; ++p) {
      kernels_.multiply({std::min(rows, pixels - first), kChannels[kBlocks], last + first * kSlab, slab,
                         weights_.projection.data() + p * kernels_.panel * kChannels[kBlocks],
                         arena_.data() + plan_.maps + first * kMapChannels + p * kernels_.panel, kMapChannels});
    }
  });
}

void CpuEngine::infer_pool() {
  const int positions = plan_.shape.maps().area();
  const std::size_t features = static_cast<std::size_t>(feature_count(architecture_));
  pool_.run(plan_.n, [&](int image, int worker) {
    const float* maps = arena_.data() + plan_.maps + static_cast<std::size_t>(image) * positions * kMapChannels;
    float* out = arena_.data() + plan_.features + image * features;
    if (architecture_.pooling == Pooling::topk) {
      const std::size_t scratch = static_cast<std::size_t>(kMapChannels) * architecture_.k;
      kernels_.select_largest({maps, positions, architecture_.k, arena_.data() + plan_.scratch + worker * scratch, out});
      return;
    }
    for (int c = 0; c < kMapChannels; ++c) {
      double sum = 0;
      for (int i = 0; i < positions; ++i) sum += maps[std::size_t{64} * i + c];
      out[c] = static_cast<float>(sum / positions);
    }
  });
}

void CpuEngine::infer_head(std::span<float> logits) {
  const float* features = arena_.data() + plan_.features;
  for (int image = 0; image < plan_.n; ++image) {
    double sum = weights_.head_bias;
    for (const float w : weights_.head) sum += static_cast<double>(w) * *features++;
    logits[image] = static_cast<float>(sum);
  }
}

/// [n][pixel][channel] in groups of 64 channels to [n][channel][pixel].
std::vector<float> CpuEngine::channels_first(const float* data, MapSize size, int channels, std::size_t pixel,
                                             std::size_t group) const {
  const std::size_t area = static_cast<std::size_t>(size.area());
  std::vector<float> out(static_cast<std::size_t>(plan_.n) * channels * area);
  for (std::size_t image = 0; image < static_cast<std::size_t>(plan_.n); ++image) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const float* from = data + c / 64 * group + image * area * pixel + c % 64;
      float* to = out.data() + (image * channels + c) * area;
      for (std::size_t i = 0; i < area; ++i) to[i] = from[i * pixel];
    }
  }
  return out;
}

std::optional<std::vector<float>> CpuEngine::read(Activation activation) {
  const float* arena = arena_.data();
  switch (activation) {
    case Activation::block1:
    case Activation::block2:
    case Activation::block3: {
      const std::size_t b = static_cast<std::size_t>(activation) - static_cast<std::size_t>(Activation::block1);
      return channels_first(arena + plan_.block[b], plan_.shape.out[b], kChannels[b + 1], static_cast<std::size_t>(kChannels[b + 1]), 64);
    }
    case Activation::block4:
      return channels_first(arena + plan_.last, plan_.shape.maps(), kChannels[kBlocks], 64,
                            static_cast<std::size_t>(plan_.n) * plan_.shape.maps().area() * 64);
    case Activation::maps:
      return channels_first(arena + plan_.maps, plan_.shape.maps(), kMapChannels, 64, 64);
    case Activation::features:
      return std::vector<float>(arena + plan_.features, arena + plan_.features + static_cast<std::size_t>(plan_.n) * feature_count(architecture_));
    case Activation::grad_maps:
      break;
  }
  return std::nullopt;
}

}  // namespace cpu
}  // namespace lfm
