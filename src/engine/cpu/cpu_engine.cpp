#include "src/engine/cpu/cpu_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "lfm/error.h"
#include "src/engine/cpu/bf16.h"
#include "src/engine/cpu/residual.h"
#include "src/engine/precision.h"
#include "src/model/front_end.h"

namespace lfm {

std::unique_ptr<Engine> make_cpu_engine(int threads, Precision precision) {
  require_precision(precision, "the CPU engine", {Precision::fp32, Precision::bf16});
  const cpu::Kernels& kernels = cpu::choose_kernels(std::getenv("LFM_CPU"));
  if (precision == Precision::bf16 && !cpu::has_bf16(kernels)) {
    throw Error(ErrorCode::device,
                fmt::format("bf16 needs a processor with AVX512_BF16 instructions, and the CPU engine runs on {} "
                            "here; use --precision fp32",
                            kernels.title));
  }
  return std::make_unique<cpu::CpuEngine>(threads, kernels, precision == Precision::bf16 ? kernels.bf16 : kernels.fp32);
}

std::vector<Precision> cpu_precisions() {
  if (!cpu::has_bf16(cpu::choose_kernels(std::getenv("LFM_CPU")))) return {Precision::fp32};
  return {Precision::fp32, Precision::bf16};
}

namespace cpu {
namespace {

std::size_t padded(std::size_t floats) { return padded_floats(floats); }

ConvShape conv_shape(const ActivationPlan& plan, int block) {
  return {plan.n,           plan.shape.out[block - 1], plan.shape.out[block],
          kChannels[block], kChannels[block + 1],      block + 1 < kBlocks};
}

/// Pixel rows that give this many rows of maps, and where they begin: map row r starts at pixel row 8 r.
constexpr int strip_height(int map_rows) { return 8 * map_rows + 16; }

constexpr int kMinStripRows = 4;
static_assert(strip_height(kMinStripRows) >= kMinImageSide);

}  // namespace

CpuEngine::CpuEngine(int threads, const Kernels& kernels, const PrecisionKernels& precision, std::int64_t strip_pixels)
    : kernels_(kernels),
      inference_(precision),
      strip_pixels_(strip_pixels),
      pool_(threads),
      training_(kernels, pool_),
      resnet_(kernels, pool_) {}

std::string CpuEngine::description() const {
  const char* bf16 = inference_.precision == Precision::bf16 ? " BF16" : "";
  return fmt::format("cpu ({}{}, {} thread{})", kernels_.title, bf16, pool_.threads(), pool_.threads() == 1 ? "" : "s");
}

std::string CpuEngine::remedy(const Architecture& architecture, PlanMode mode) const {
  const bool computes =
      architecture.trunk == Trunk::snet || mode == PlanMode::training || inference_.precision == Precision::fp32;
  return computes ? "" : "use --precision fp32";
}

void CpuEngine::take_model(const Architecture& architecture, std::span<const float> values) {
  parameters_.assign(values.begin(), values.end());
  training_.load(architecture, parameters_);
  pack(architecture);
  plan_ = {};
}

void CpuEngine::pack(const Architecture& architecture) {
  if (architecture.trunk == Trunk::resnet) {
    resnet_.load(architecture, parameters_);
  } else {
    weights_ = pack_weights(architecture, parameters_, inference_, pool_);
  }
  packed_changes_ = training_.changes();
}

/// keep_all: every block keeps its own place, so that it can be read afterwards; else blocks 3 and 4 take block 1's.
ActivationPlan CpuEngine::plan_activations(const Architecture& architecture, int n, int height, int width,
                                           bool keep_all) const {
  ActivationPlan plan;
  plan.n = n;
  Architecture pooled = architecture;
  pooled.pooling = Pooling::average;  // a strip may have fewer positions than k
  plan.shape = network_shape(pooled, height, width);
  const std::size_t images = static_cast<std::size_t>(n), threads = static_cast<std::size_t>(pool_.threads());
  ArenaLayout layout(kAlignment);
  for (std::size_t b = 0; b < 2; ++b) {
    plan.block[b] = add_floats(layout, block_stage(static_cast<int>(b)).name,
                               images * plan.shape.out[b].area() * inference_.stored(kChannels[b + 1]));
  }
  const std::size_t third = images * plan.shape.out[2].area() * inference_.stored(kChannels[3]);
  const std::size_t last = images * plan.shape.maps().area() * inference_.stored(kChannels[kBlocks]);
  const bool fits = padded(third) + last <= plan.block[1];
  plan.block[2] = keep_all || !fits ? add_floats(layout, block_stage(2).name, third) : plan.block[0];
  plan.last = keep_all || !fits ? add_floats(layout, block_stage(3).name, last) : plan.block[0] + padded(third);

  std::size_t scratch = threads * padded(first_block_scratch(plan.shape.out[0].w));
  for (int block = 1; block < kBlocks; ++block) {
    const ConvPlan conv = plan_conv(conv_shape(plan, block), inference_, pool_.threads());
    scratch = std::max(scratch, conv.shared_floats + threads * conv.worker_floats);
    plan.conv[static_cast<std::size_t>(block - 1)] = conv;
  }
  plan.scratch = add_floats(layout, "scratch", scratch);
  plan.arena = layout.plan();
  return plan;
}

InferencePlan CpuEngine::plan_inference(const Architecture& architecture, int n, int height, int width) const {
  InferencePlan plan;
  plan.shape = network_shape(architecture, height, width);
  const int map_rows = plan.shape.maps().h;
  if (n == 1 && std::int64_t{height} * width > strip_pixels_) {
    const std::int64_t rows = std::max<std::int64_t>(kMinStripRows, (strip_pixels_ / width - 16) / 8);
    plan.strips = static_cast<int>(
        std::max<std::int64_t>(1, std::min((map_rows + rows - 1) / rows, std::int64_t{map_rows} / kMinStripRows)));
  }
  const int tallest = (map_rows + plan.strips - 1) / plan.strips;
  plan.part = plan.strips == 1 ? plan_activations(architecture, n, height, width, true)
                               : plan_activations(architecture, 1, strip_height(tallest), width, false);

  const std::size_t images = static_cast<std::size_t>(n);
  ArenaLayout layout(kAlignment);
  plan.maps = add_floats(layout, "maps", images * plan.shape.maps().area() * kMapChannels);
  plan.features = add_floats(layout, "features", images * feature_count(architecture));
  plan.selection =
      add_floats(layout, "selection", static_cast<std::size_t>(pool_.threads()) * kMapChannels * architecture.k);
  plan.parts = layout.add(plan.part.arena) / sizeof(float);
  plan.arena = layout.plan();
  return plan;
}

void CpuEngine::make_room(const PlanRequest& request) {
  if (request.mode == PlanMode::training) {
    training_.reserve(request);
    return;
  }
  if (packed_changes_ != training_.changes()) pack(architecture());  // what training has changed since
  if (is_resnet()) return resnet_.reserve(request.n, request.height, request.width);
  plan_ = plan_inference(architecture(), request.n, request.height, request.width);
  arena_.grow(plan_.arena);
}

Plan CpuEngine::plan_for(const Architecture& architecture, const PlanRequest& request) const {
  if (request.mode == PlanMode::training) return training_.plan_for(architecture, request);
  if (architecture.trunk == Trunk::resnet)
    return resnet_.plan(architecture, request.n, request.height, request.width).arena;
  return plan_inference(architecture, request.n, request.height, request.width).arena;
}

int CpuEngine::chunk(int height, int width) const {
  // One 256 x 256 image keeps two threads busy; more images at once only push each other out of the caches.
  const std::int64_t pixels = std::int64_t{256} * 256 * std::max(1, pool_.threads() / 2);
  return static_cast<int>(std::clamp<std::int64_t>(pixels / (std::int64_t{height} * width), 1, 64));
}

// ---- the stages: directly, or put off until the projection, which runs them strip by strip ----

void CpuEngine::begin(const PixelBatch& batch) {
  if (is_resnet()) return resnet_.begin(batch);
  if (batch.n != plan_.part.n) plan_ = plan_inference(architecture(), batch.n, batch.height, batch.width);
  batch_ = batch;
}

void CpuEngine::run(const Stage& stage) {
  if (is_resnet()) return resnet_.run(stage);
  switch (stage.kind) {
    case StageKind::front_end: return;  // block 1 computes it
    case StageKind::block:
      if (plan_.strips == 1) block(plan_.part, stage.block);
      return;
    case StageKind::projection:
      return plan_.strips == 1 ? project(plan_.part, arena_.data() + plan_.maps) : run_strips();
    case StageKind::pooling: return pool();
    case StageKind::head: return head();
    case StageKind::stem:
    case StageKind::bottleneck: return;  // resnet_'s
  }
}

void CpuEngine::end(std::span<float> logits) {
  if (!logits.empty())
    std::ranges::copy(is_resnet() ? resnet_.logits() : std::span<const float>(logits_), logits.begin());
}

/// first_row: of the picture, where a strip begins.
void CpuEngine::block(const ActivationPlan& plan, int block, int first_row) {
  if (block == 0) return first_block(plan, first_row);
  if (block + 1 == kBlocks) return last_block(plan);
  middle_block(plan, block);
}

void CpuEngine::run_strips() {
  const MapSize maps = plan_.shape.maps();
  for (int strip = 0; strip < plan_.strips; ++strip) {
    const int first = static_cast<int>(std::int64_t{maps.h} * strip / plan_.strips);
    const int rows = static_cast<int>(std::int64_t{maps.h} * (strip + 1) / plan_.strips) - first;
    const ActivationPlan plan = plan_activations(architecture(), 1, strip_height(rows), batch_.width, false);
    for (int b = 0; b < kBlocks; ++b) block(plan, b, 8 * first);
    project(plan, arena_.data() + plan_.maps + static_cast<std::size_t>(first) * maps.w * kMapChannels);
  }
}

void CpuEngine::first_block(const ActivationPlan& plan, int first_row) {
  float* arena = arena_.data() + plan_.parts;
  const MapSize out = plan.shape.out[0];
  const std::size_t row_bytes = std::size_t{3} * batch_.width;
  const FrontEnd front_end = architecture().front_end;
  const bool fused = is_fused(front_end);
  const auto compute = fused ? inference_.first_block_row : inference_.plain_block_row;
  const std::size_t scratch = padded(first_block_scratch(out.w));
  constexpr int rows = 4;  // output rows of a task
  const int per_image = (out.h + rows - 1) / rows;
  pool_.run(plan.n * per_image, [&](int task, int worker) {
    const int image = task / per_image, first = task % per_image * rows;
    for (int y = first; y < std::min(out.h, first + rows); ++y) {
      const std::size_t out_row = static_cast<std::size_t>(image) * out.h + y;
      const int row = first_row + 2 * y;
      float* residual = arena + plan.scratch + worker * scratch;
      if (!fused)
        residual_rows(front_end, batch_.image(image), batch_.height, batch_.width, row, plain_columns(out.w), residual);
      compute({batch_.image(image) + static_cast<std::size_t>(row) * row_bytes, row_bytes, out.w, weights_.first.data(),
               weights_.first_bias.data(), residual,
               arena + plan.block[0] + out_row * out.w * inference_.stored(kChannels[1])});
    }
  });
}

void CpuEngine::middle_block(const ActivationPlan& plan, int block) {
  float* arena = arena_.data() + plan_.parts;
  const std::size_t b = static_cast<std::size_t>(block);
  conv_block(conv_shape(plan, block), plan.conv[b - 1], weights_.conv[b - 1], arena + plan.block[b - 1],
             {arena + plan.block[b], inference_.stored(kChannels[b + 1]), inference_.stored(kGroup)},
             arena + plan.scratch, inference_, pool_);
}

void CpuEngine::last_block(const ActivationPlan& plan) {
  float* arena = arena_.data() + plan_.parts;
  const std::size_t pixel = inference_.stored(kSlab);
  conv_block(conv_shape(plan, 3), plan.conv[2], weights_.conv[2], arena + plan.block[2],
             {arena + plan.last, pixel, plan.n * plan.shape.maps().area() * pixel}, arena + plan.scratch, inference_,
             pool_);
}

/// [pixels][512] x [512][64].
void CpuEngine::project(const ActivationPlan& plan, float* maps) {
  const float* last = arena_.data() + plan_.parts + plan.last;
  const int pixels = plan.n * plan.shape.maps().area();
  const std::size_t pixel = inference_.stored(kSlab), slab = pixels * pixel;
  constexpr int rows = 56;  // pixels of a task
  pool_.run((pixels + rows - 1) / rows, [&](int task, int) {
    const int first = task * rows;
    for (int p = 0; p < kMapChannels / inference_.panel; ++p) {
      inference_.multiply({std::min(rows, pixels - first), kChannels[kBlocks], last + first * pixel, slab,
                           weights_.projection.data() + p * inference_.panel * inference_.stored(kChannels[kBlocks]),
                           maps + static_cast<std::size_t>(first) * kMapChannels + p * inference_.panel, kMapChannels});
    }
  });
}

void CpuEngine::pool() {
  const int positions = plan_.shape.maps().area();
  const std::size_t features = static_cast<std::size_t>(feature_count(architecture()));
  pool_.run(plan_.part.n, [&](int image, int worker) {
    const float* maps = arena_.data() + plan_.maps + static_cast<std::size_t>(image) * positions * kMapChannels;
    float* out = arena_.data() + plan_.features + image * features;
    if (architecture().pooling == Pooling::topk) {
      const std::size_t scratch = static_cast<std::size_t>(kMapChannels) * architecture().k;
      kernels_.select_largest(
          {maps, positions, architecture().k, arena_.data() + plan_.selection + worker * scratch, out});
      return;
    }
    for (std::size_t c = 0; c < kMapChannels; ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(positions); ++i) sum += maps[kMapChannels * i + c];
      out[c] = static_cast<float>(sum / positions);
    }
  });
}

void CpuEngine::head() {
  const float* features = arena_.data() + plan_.features;
  logits_.resize(static_cast<std::size_t>(plan_.part.n));
  for (float& logit : logits_) {
    double sum = weights_.head_bias;
    for (const float w : weights_.head) sum += static_cast<double>(w) * *features++;
    logit = static_cast<float>(sum);
  }
}

/// [n][pixel][channel] in groups of 64 channels to [n][channel][pixel].
std::vector<float> CpuEngine::channels_first(const float* data, MapSize size, int channels, std::size_t pixel,
                                             std::size_t group, Precision precision) const {
  const std::size_t images = static_cast<std::size_t>(plan_.part.n), area = static_cast<std::size_t>(size.area());
  std::vector<float> out(images * channels * area);
  for (std::size_t image = 0; image < images; ++image) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const float* from = data + c / kGroup * group + image * area * pixel;
      float* to = out.data() + (image * channels + c) * area;
      for (std::size_t i = 0; i < area; ++i, from += pixel) {
        to[i] = precision == Precision::bf16 ? stored_bf16(from, c % kGroup) : from[c % kGroup];
      }
    }
  }
  return out;
}

/// The blocks stay readable up to the next pass, unless the image went through in strips.
std::optional<std::vector<float>> CpuEngine::read(Activation activation) {
  if (is_resnet()) return resnet_.read(activation);
  const float* part = arena_.data() + plan_.parts;
  const float* features = arena_.data() + plan_.features;
  const MapSize maps = plan_.shape.maps();
  switch (activation) {
    case Activation::block1:
    case Activation::block2:
    case Activation::block3: {
      if (plan_.strips > 1) return std::nullopt;
      const std::size_t b = static_cast<std::size_t>(activation) - static_cast<std::size_t>(Activation::block1);
      return channels_first(part + plan_.part.block[b], plan_.shape.out[b], kChannels[b + 1],
                            inference_.stored(kChannels[b + 1]), inference_.stored(kGroup), inference_.precision);
    }
    case Activation::block4:
      if (plan_.strips > 1) return std::nullopt;
      return channels_first(part + plan_.part.last, maps, kChannels[kBlocks], inference_.stored(kSlab),
                            plan_.part.n * maps.area() * inference_.stored(kSlab), inference_.precision);
    case Activation::maps:
      return channels_first(arena_.data() + plan_.maps, maps, kMapChannels, kMapChannels, kGroup, Precision::fp32);
    case Activation::features:
      return std::vector<float>(features,
                                features + static_cast<std::size_t>(plan_.part.n) * feature_count(architecture()));
    case Activation::grad_maps: break;
  }
  return std::nullopt;
}

}  // namespace cpu
}  // namespace lfm
