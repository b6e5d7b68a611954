// Winograd's G for points p_i and infinity: row i of G g is (g0 + p_i g1)/f_i with f_i = prod over j != i of (p_i -
// p_j); the last row is g1. In double, rounded once. The points are those of winograd-inl.h and winograd_bf16-inl.h.
#include "src/engine/cpu/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "src/engine/cpu/bf16.h"
#include "src/model/fold.h"

namespace lfm::cpu {
namespace {

using TransformRow = std::array<double, 2>;

template <std::size_t kPoints>
constexpr std::array<TransformRow, kPoints + 1> weight_transform(const std::array<double, kPoints>& points) {
  std::array<TransformRow, kPoints + 1> g{};
  for (std::size_t i = 0; i < kPoints; ++i) {
    double f = 1;
    for (std::size_t j = 0; j < kPoints; ++j) f *= j == i ? 1 : points[i] - points[j];
    g[i] = {1 / f, points[i] / f};
  }
  g[kPoints] = {0, 1};
  return g;
}

constexpr auto kTransform6 = weight_transform<6>({0, 1, -1, 2, -2, -0.5});
constexpr auto kTransform4 = weight_transform<4>({0.375, -0.375, 1.25, -1.25});

std::span<const TransformRow> weight_transform(int tile) {
  return tile == 4 ? std::span<const TransformRow>(kTransform4) : std::span<const TransformRow>(kTransform6);
}

Buffer copy(std::span<const float> values) {
  Buffer buffer(values.size());
  std::copy(values.begin(), values.end(), buffer.data());
  return buffer;
}

constexpr int kMaxPanel = 64;

/// U of one input channel and one panel of output channels: `panel` floats a frequency, frequencies `stride` apart.
void transform_channel(std::span<const float> weight, int ic, int channel, int first_oc, int panel,
                       std::span<const TransformRow> g, float* u, std::size_t stride) {
  std::array<double, kMaxPanel> w[4];  // [tap][lane]
  for (int lane = 0; lane < panel; ++lane) {
    const std::size_t oc = static_cast<std::size_t>(first_oc) + static_cast<std::size_t>(lane);
    const float* taps = weight.data() + (oc * static_cast<std::size_t>(ic) + static_cast<std::size_t>(channel)) * 4;
    for (int t = 0; t < 4; ++t) w[t][lane] = taps[t];
  }
  for (const TransformRow& row : g) {
    std::array<double, kMaxPanel> left, right;
    for (int lane = 0; lane < panel; ++lane) {
      left[lane] = row[0] * w[0][lane] + row[1] * w[2][lane];
      right[lane] = row[0] * w[1][lane] + row[1] * w[3][lane];
    }
    for (const TransformRow& column : g) {
      for (int lane = 0; lane < panel; ++lane)
        u[lane] = static_cast<float>(column[0] * left[lane] + column[1] * right[lane]);
      u += stride;
    }
  }
}

}  // namespace

ConvWeights pack_conv(const FoldedBlock& folded, int ic, int oc, const PrecisionKernels& kernels, ThreadPool& pool) {
  const auto g = weight_transform(kernels.tile);
  const int panel = kernels.panel, panels = kGroup / panel, frequencies = kernels.frequencies();
  ConvWeights packed;
  packed.ic = ic;
  packed.oc = oc;
  packed.transformed = Buffer(frequencies * kernels.stored(ic) * oc);
  packed.bias = copy(folded.bias);
  const std::size_t panel_floats = kernels.stored(ic) * panel;
  const std::size_t stride = panels * panel_floats;
  pool.run(oc / panel, [&](int p, int) {
    float* out = packed.transformed.data() + p / panels * frequencies * stride + p % panels * panel_floats;
    const auto transform = [&](int c, float* u, std::size_t u_stride) {
      transform_channel(folded.weight, ic, c, p * panel, panel, g, u, u_stride);
    };
    if (kernels.precision == Precision::fp32) {
      for (int c = 0; c < ic; ++c) transform(c, out + c * panel, stride);
      return;
    }
    std::array<float, kMaxFrequencies * kMaxPanel> first, second;
    for (int c = 0; c < ic; c += 2, out += panel) {
      transform(c, first.data(), kMaxPanel);
      transform(c + 1, second.data(), kMaxPanel);
      for (int f = 0; f < frequencies; ++f) {
        for (int lane = 0; lane < panel; ++lane) {
          out[f * stride + lane] = bf16_pair(first[f * kMaxPanel + lane], second[f * kMaxPanel + lane]);
        }
      }
    }
  });
  return packed;
}

namespace {

Buffer pack_first(std::span<const float> weight) {
  Buffer packed(weight.size());
  for (std::size_t oc = 0; oc < 64; ++oc) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t tap = 0; tap < 4; ++tap) {
        packed.data()[oc / 16 * 192 + (tap * 3 + c) * 16 + oc % 16] = weight[(oc * 3 + c) * 4 + tap];
      }
    }
  }
  return packed;
}

bool finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

Buffer pack_projection(std::span<const float> weight, const PrecisionKernels& kernels) {
  constexpr std::size_t depth = kChannels[kBlocks];
  const std::size_t panel = static_cast<std::size_t>(kernels.panel), rows = kernels.stored(kChannels[kBlocks]);
  Buffer packed(rows * kMapChannels);
  for (std::size_t oc = 0; oc < kMapChannels; ++oc) {
    const float* from = weight.data() + oc * depth;
    float* to = packed.data() + oc / panel * rows * panel + oc % panel;
    for (std::size_t k = 0; k < rows; ++k) {
      to[k * panel] = kernels.precision == Precision::bf16 ? bf16_pair(from[2 * k], from[2 * k + 1]) : from[k];
    }
  }
  return packed;
}

}  // namespace

InferenceWeights pack_weights(const Architecture& architecture, std::span<const float> values,
                              const PrecisionKernels& kernels, ThreadPool& pool) {
  const ParameterTable table = parameter_table(architecture);
  InferenceWeights weights;
  const auto blocks = fold_blocks(architecture, values);
  weights.first = pack_first(blocks[0].weight);
  weights.first_bias = copy(blocks[0].bias);
  for (std::size_t b = 1; b < kBlocks; ++b)
    weights.conv[b - 1] = pack_conv(blocks[b], kChannels[b], kChannels[b + 1], kernels, pool);
  weights.projection = pack_projection(parameter(values, table, kProjection), kernels);
  const auto head = parameter(values, table, kHeadWeight);
  weights.head.assign(head.begin(), head.end());
  weights.head_bias = parameter(values, table, kHeadBias)[0];
  // A maximum, of a window or in the top-k, may leave out what is no number; the logit must not.
  bool whole = finite(parameter(values, table, kProjection));
  for (const FoldedBlock& block : blocks) whole = whole && finite(block.weight) && finite(block.bias);
  if (!whole) weights.head_bias = std::numeric_limits<float>::quiet_NaN();
  return weights;
}

}  // namespace lfm::cpu
