#include "src/engine/cpu/resnet.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "src/model/front_end.h"

namespace lfm::cpu {
namespace {

constexpr int kMostSegments = 64;
static_assert(kResnetMapChannels / kSlab <= kMostSegments && 9 * kBottlenecks.back().middle / kSlab <= kMostSegments);
using Segments = std::array<const float*, kMostSegments>;

/// Pixels of a task: few enough that what it reads stays in L2, enough that a panel of weights serves it from there.
constexpr int kTaskPixels = 128;

std::size_t flat_floats(int n, const MapSize& size, int channels) {
  return static_cast<std::size_t>(n) * static_cast<std::size_t>(size.area()) * static_cast<std::size_t>(channels);
}

/// How rows of maps are dealt to tasks, which never changes a result.
int rows_per_task(int rows, int width, int threads) {
  const int fitting = std::max(1, kTaskPixels / width);
  return std::clamp(rows / (4 * threads), 1, fitting);
}

/// Calls task(first, last, worker) for runs of rows.
template <typename Task>
void for_rows(ThreadPool& pool, int rows, int width, const Task& task) {
  const int step = rows_per_task(rows, width, pool.threads());
  pool.run((rows + step - 1) / step,
           [&](int index, int worker) { task(index * step, std::min(rows, (index + 1) * step), worker); });
}

}  // namespace

void Resnet::load(const Architecture& architecture, std::span<const float> values) {
  architecture_ = architecture;
  weights_ = pack_resnet(architecture, values, kernels_.fp32.panel);
  plan_ = {};
}

ResnetPlan Resnet::plan(const Architecture& architecture, int n, int height, int width) const {
  const StageTable table = stages(architecture, height, width);
  ResnetPlan plan;
  plan.n = n;
  plan.input = table[0].out.size;
  plan.stem_conv = kTrunkConvolutions[0].out(plan.input);
  for (const Stage& stage : table) {
    if (stage.kind == StageKind::stem) plan.stem = stage.out.size;
    if (stage.kind == StageKind::bottleneck) (stage.block < kLayer1End ? plan.layer1 : plan.layer2) = stage.out.size;
  }
  std::size_t reduced = 0, spatial = 0;
  for (std::size_t b = 0; b < kBottlenecks.size(); ++b) {
    const MapSize &in = static_cast<int>(b) <= kLayer1End ? plan.layer1 : plan.layer2,
                  &out = static_cast<int>(b) < kLayer1End ? plan.layer1 : plan.layer2;
    reduced = std::max(reduced, flat_floats(n, bordered(in), kBottlenecks[b].middle));
    spatial = std::max(spatial, flat_floats(n, out, kBottlenecks[b].middle));
  }
  ArenaLayout layout(kAlignment);
  plan.stem_at = add_floats(layout, "stem", flat_floats(n, plan.stem, kStemChannels));
  plan.layer1_at = add_floats(layout, "layer1", flat_floats(n, plan.layer1, kBottlenecks[0].out()));
  plan.layer2_at = add_floats(layout, "layer2", flat_floats(n, plan.layer2, kResnetMapChannels));
  plan.reduced_at = add_floats(layout, "reduced", reduced);
  plan.spatial_at = add_floats(layout, "spatial", spatial);
  plan.features_at = add_floats(layout, "features", static_cast<std::size_t>(n) * feature_count(architecture));
  std::size_t scratch = std::max(stem_scratch(plan), static_cast<std::size_t>(architecture.k) * kSlab);
  for (const TrunkConvolution& c : kTrunkConvolutions) {
    if (!is_winograd(c)) continue;
    scratch = std::max(
        scratch, plan_tiles(n, c.bottleneck < kLayer1End ? plan.layer1 : plan.layer2, c.ic, pool_.threads()).floats());
  }
  plan.scratch_floats = padded_floats(scratch);
  plan.scratch_at = add_floats(layout, "scratch", plan.scratch_floats * static_cast<std::size_t>(pool_.threads()));
  plan.arena = layout.plan();
  return plan;
}

void Resnet::reserve(int n, int height, int width) {
  plan_ = plan(architecture_, n, height, width);
  arena_.grow(plan_.arena);
}

void Resnet::begin(const PixelBatch& batch) {
  if (batch.n != plan_.n) plan_ = plan(architecture_, batch.n, batch.height, batch.width);
  batch_ = batch;
}

void Resnet::run(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::front_end: return;  // the stem computes it
    case StageKind::stem: return stem();
    case StageKind::bottleneck: return bottleneck(stage.block);
    case StageKind::pooling: return architecture_.pooling == Pooling::topk ? select() : average();
    case StageKind::head: return head();
    case StageKind::block:
    case StageKind::projection: return;  // SNet's
  }
}

void Resnet::stem() {
  constexpr int rows = 8;  // of a task: one of its 17 rows of convolutions is another's too
  const int tasks = (plan_.stem.h + rows - 1) / rows;
  float* const arena = arena_.data();
  pool_.run(plan_.n * tasks, [&](int task, int worker) {
    const int image = task / tasks, first = task % tasks * rows;
    stem_rows(plan_, architecture_, weights_.convolutions[0], kernels_, batch_.image(image), batch_.height,
              batch_.width, first, std::min(plan_.stem.h, first + rows),
              arena + plan_.scratch_at + static_cast<std::size_t>(worker) * plan_.scratch_floats,
              arena + plan_.stem_at + static_cast<std::size_t>(image) * plan_.stem.area() * kStemChannels);
  });
}

/// A convolution 1x1, flat to flat, of every pixel or of every second.
void Resnet::convolve_rows(int convolution, const FlatMaps& in, const FlatMaps& out, const float* shortcut, bool relu) {
  const TrunkWeights& weights = weights_.convolutions[static_cast<std::size_t>(convolution)];
  const int stride = kTrunkConvolutions[static_cast<std::size_t>(convolution)].stride, panel = kernels_.fp32.panel;
  const std::size_t in_slab = flat_floats(plan_.n, in.size, kSlab), out_slab = flat_floats(plan_.n, out.size, kSlab);
  for_rows(pool_, plan_.n * out.size.h, out.size.w, [&](int first, int last, int) {
    // Without a stride the pixels of all the rows follow each other.
    const int runs = stride == 1 ? 1 : last - first, pixels = stride == 1 ? (last - first) * out.size.w : out.size.w;
    for (int p = 0; p < out.channels / panel; ++p) {
      for (int run = 0; run < runs; ++run) {
        const int row = first + run, image = row / out.size.h;
        const std::size_t from =
            (static_cast<std::size_t>(image) * in.size.h + row % out.size.h * stride) * in.size.w * kSlab;
        Segments a;
        for (int s = 0; s < weights.segments; ++s)
          a[static_cast<std::size_t>(s)] = in.data + static_cast<std::size_t>(s) * in_slab + from;
        const std::size_t to =
            p * panel / kSlab * out_slab + static_cast<std::size_t>(row) * out.size.w * kSlab + p * panel % kSlab;
        (stride == 1 ? kernels_.convolve : kernels_.convolve_by2)(
            {a.data(), weights.segments, weights.depth, pixels, weights.packed.data() + p * weights.panel_floats(panel),
             weights.bias.data() + p * panel, shortcut == nullptr ? nullptr : shortcut + to, relu, out.data + to});
      }
    }
  });
}

/// A convolution 1x1 and ReLU, flat to padded; writes the border too, which the arena's last use left as it is.
void Resnet::reduce(int convolution, const FlatMaps& in, int middle) {
  const TrunkWeights& weights = weights_.convolutions[static_cast<std::size_t>(convolution)];
  const int panel = kernels_.fp32.panel, w = in.size.w, h = in.size.h;
  const MapSize border = bordered(in.size);
  const std::size_t in_slab = flat_floats(plan_.n, in.size, kSlab), out_slab = flat_floats(plan_.n, border, kSlab);
  const std::size_t pitch = static_cast<std::size_t>(border.w) * kSlab;
  float* const out = arena_.data() + plan_.reduced_at;
  for_rows(pool_, plan_.n * h, w, [&](int first, int last, int) {
    const auto padded_row = [&](int row) {
      return out + (static_cast<std::size_t>(row / h) * border.h + row % h + 1) * pitch;
    };
    for (int p = 0; p < middle / panel; ++p) {
      for (int row = first; row < last; ++row) {
        Segments a;
        const std::size_t from = static_cast<std::size_t>(row) * w * kSlab;
        for (int s = 0; s < weights.segments; ++s)
          a[static_cast<std::size_t>(s)] = in.data + static_cast<std::size_t>(s) * in_slab + from;
        kernels_.convolve({a.data(), weights.segments, weights.depth, w,
                           weights.packed.data() + p * weights.panel_floats(panel), weights.bias.data() + p * panel,
                           nullptr, true, padded_row(row) + p * panel / kSlab * out_slab + kSlab + p * panel % kSlab});
      }
    }
    for (int slab = 0; slab < middle / kSlab; ++slab) {
      for (int row = first; row < last; ++row) {
        float* to = padded_row(row) + static_cast<std::size_t>(slab) * out_slab;
        std::fill_n(to, kSlab, 0.0f);
        std::fill_n(to + static_cast<std::size_t>(1 + w) * kSlab, pitch - static_cast<std::size_t>(1 + w) * kSlab,
                    0.0f);
        if (row % h == 0) std::fill_n(to - pitch, pitch, 0.0f);
        if (row % h == h - 1) std::fill_n(to + pitch, static_cast<std::size_t>(border.h - 1 - h) * pitch, 0.0f);
      }
    }
  });
}

void Resnet::spatial_tiles(int convolution, const MapSize& size, int middle) {
  float* const arena = arena_.data();
  convolve_tiles(plan_.n, size, middle, weights_.convolutions[static_cast<std::size_t>(convolution)], kernels_, pool_,
                 arena + plan_.reduced_at, arena + plan_.spatial_at, arena + plan_.scratch_at, plan_.scratch_floats);
}

/// A convolution 3x3 of every second pixel and ReLU, padded to flat.
void Resnet::spatial_by2(int convolution, const MapSize& in, const MapSize& out, int middle) {
  const TrunkWeights& weights = weights_.convolutions[static_cast<std::size_t>(convolution)];
  const int panel = kernels_.fp32.panel, slabs = middle / kSlab;
  const MapSize border = bordered(in);
  const std::size_t in_slab = flat_floats(plan_.n, border, kSlab), out_slab = flat_floats(plan_.n, out, kSlab);
  const std::size_t pitch = static_cast<std::size_t>(border.w) * kSlab;
  const float* const from = arena_.data() + plan_.reduced_at;
  float* const to = arena_.data() + plan_.spatial_at;
  for_rows(pool_, plan_.n * out.h, out.w, [&](int first, int last, int) {
    for (int p = 0; p < middle / panel; ++p) {
      for (int row = first; row < last; ++row) {
        const float* corner = from + (static_cast<std::size_t>(row / out.h) * border.h + row % out.h * 2) * pitch;
        Segments a;
        std::size_t segment = 0;
        for (int tap = 0; tap < 9; ++tap) {
          for (int s = 0; s < slabs; ++s) a[segment++] = corner + s * in_slab + tap / 3 * pitch + tap % 3 * kSlab;
        }
        kernels_.convolve_by2(
            {a.data(), weights.segments, weights.depth, out.w, weights.packed.data() + p * weights.panel_floats(panel),
             weights.bias.data() + p * panel, nullptr, true,
             to + p * panel / kSlab * out_slab + static_cast<std::size_t>(row) * out.w * kSlab + p * panel % kSlab});
      }
    }
  });
}

void Resnet::bottleneck(int index) {
  const Bottleneck& b = kBottlenecks[static_cast<std::size_t>(index)];
  const int first = first_convolution(index);
  const FlatMaps stem = maps_at(plan_.stem_at, plan_.stem, kStemChannels);
  const FlatMaps layer1 = maps_at(plan_.layer1_at, plan_.layer1, kBottlenecks[0].out());
  const FlatMaps layer2 = maps_at(plan_.layer2_at, plan_.layer2, kResnetMapChannels);
  const FlatMaps out = index < kLayer1End ? layer1 : layer2;
  const FlatMaps in = index == 0 ? stem : index == kLayer1End ? layer1 : out;
  reduce(first + kReduce, in, b.middle);
  b.stride == 1 ? spatial_tiles(first + kSpatial, out.size, b.middle)
                : spatial_by2(first + kSpatial, in.size, out.size, b.middle);
  if (b.projects()) convolve_rows(first + kShortcut, in, out, nullptr, false);
  convolve_rows(first + kExpand, maps_at(plan_.spatial_at, out.size, b.middle), out, out.data, true);
}

/// [512/64][n*positions][64] -> [n][512].
void Resnet::average() {
  const std::size_t positions = static_cast<std::size_t>(plan_.layer2.area());
  const int slabs = kResnetMapChannels / kSlab;
  pool_.run(plan_.n * slabs, [&](int task, int) {
    const std::size_t image = static_cast<std::size_t>(task / slabs), slab = static_cast<std::size_t>(task % slabs);
    const float* from =
        arena_.data() + plan_.layer2_at + (slab * static_cast<std::size_t>(plan_.n) + image) * positions * kSlab;
    std::array<double, kSlab> sums{};
    for (std::size_t i = 0; i < positions; ++i, from += kSlab) {
      for (std::size_t c = 0; c < kSlab; ++c) sums[c] += from[c];
    }
    float* to = arena_.data() + plan_.features_at + image * kResnetMapChannels + slab * kSlab;
    for (std::size_t c = 0; c < kSlab; ++c) to[c] = static_cast<float>(sums[c] / static_cast<double>(positions));
  });
}

void Resnet::select() {
  const int slabs = kResnetMapChannels / kSlab, positions = plan_.layer2.area(), k = architecture_.k;
  pool_.run(plan_.n * slabs, [&](int task, int worker) {
    const std::size_t image = static_cast<std::size_t>(task / slabs), slab = static_cast<std::size_t>(task % slabs);
    float* const arena = arena_.data();
    kernels_.select_largest(
        {arena + plan_.layer2_at + (slab * static_cast<std::size_t>(plan_.n) + image) * positions * kSlab, positions, k,
         arena + plan_.scratch_at + static_cast<std::size_t>(worker) * plan_.scratch_floats,
         arena + plan_.features_at + (image * kResnetMapChannels + slab * kSlab) * static_cast<std::size_t>(k)});
  });
}

void Resnet::head() {
  const float* features = arena_.data() + plan_.features_at;
  logits_.resize(static_cast<std::size_t>(plan_.n));
  for (float& logit : logits_) {
    double sum = weights_.head.bias;
    for (const double w : weights_.head.weight) sum += w * *features++;
    logit = static_cast<float>(sum);
  }
}

std::vector<float> Resnet::channels_first(std::size_t offset, const MapSize& size, int channels) const {
  const std::size_t images = static_cast<std::size_t>(plan_.n), area = static_cast<std::size_t>(size.area());
  std::vector<float> out(images * static_cast<std::size_t>(channels) * area);
  float* to = out.data();
  for (std::size_t image = 0; image < images; ++image) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const float* from = arena_.data() + offset + (c / kSlab * images + image) * area * kSlab + c % kSlab;
      for (std::size_t i = 0; i < area; ++i) *to++ = from[i * kSlab];
    }
  }
  return out;
}

std::optional<std::vector<float>> Resnet::read(Activation activation) const {
  const float* features = arena_.data() + plan_.features_at;
  switch (activation) {
    case Activation::block1: return channels_first(plan_.stem_at, plan_.stem, kStemChannels);
    case Activation::block2: return channels_first(plan_.layer1_at, plan_.layer1, kBottlenecks[0].out());
    case Activation::maps: return channels_first(plan_.layer2_at, plan_.layer2, kResnetMapChannels);
    case Activation::features:
      return std::vector<float>(features, features + static_cast<std::size_t>(plan_.n) * feature_count(architecture_));
    case Activation::block3:
    case Activation::block4:
    case Activation::grad_maps: break;
  }
  return std::nullopt;
}

}  // namespace lfm::cpu
