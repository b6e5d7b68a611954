// Winograd's G for the points p = 0, 1, -1, 2, -2, -1/2 and infinity (winograd-inl.h): row i of G g is (g0 + p_i g1)/f_i with
// f_i = prod over j != i of (p_i - p_j); the last row is g1. In double, rounded once.
#include "src/engine/cpu/weights.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "src/model/fold.h"

namespace lfm::cpu {
namespace {

constexpr std::array<double, kTileIn - 1> kPoints = {0, 1, -1, 2, -2, -0.5};

/// G [7][2].
constexpr std::array<std::array<double, 2>, kTileIn> weight_transform() {
  std::array<std::array<double, 2>, kTileIn> g{};
  for (std::size_t i = 0; i < kPoints.size(); ++i) {
    double f = 1;
    for (std::size_t j = 0; j < kPoints.size(); ++j) f *= j == i ? 1 : kPoints[i] - kPoints[j];
    g[i] = {1 / f, kPoints[i] / f};
  }
  g[kTileIn - 1] = {0, 1};
  return g;
}

Buffer copy(std::span<const float> values) {
  Buffer buffer(values.size());
  std::copy(values.begin(), values.end(), buffer.data());
  return buffer;
}

/// One input channel of one panel: U [49] rows of panel floats, `row` apart.
void transform_row(std::span<const float> weight, int ic, int channel, int first_oc, int panel, float* out,
                   std::size_t row) {
  constexpr auto g = weight_transform();
  std::array<double, 64> w[4];  // [tap][lane]
  for (int lane = 0; lane < panel; ++lane) {
    const std::size_t oc = static_cast<std::size_t>(first_oc + lane);
    const float* taps = weight.data() + (oc * static_cast<std::size_t>(ic) + static_cast<std::size_t>(channel)) * 4;
    for (int t = 0; t < 4; ++t) w[t][lane] = taps[t];
  }
  for (int a = 0; a < kTileIn; ++a) {
    std::array<double, 64> left, right;
    for (int lane = 0; lane < panel; ++lane) {
      left[lane] = g[a][0] * w[0][lane] + g[a][1] * w[2][lane];
      right[lane] = g[a][0] * w[1][lane] + g[a][1] * w[3][lane];
    }
    for (int b = 0; b < kTileIn; ++b, out += row) {
      for (int lane = 0; lane < panel; ++lane) {
        out[lane] = static_cast<float>(g[b][0] * left[lane] + g[b][1] * right[lane]);
      }
    }
  }
}

}  // namespace

ConvWeights pack_conv(const FoldedBlock& folded, int ic, int oc, const Kernels& kernels, ThreadPool& pool) {
  ConvWeights packed;
  packed.ic = ic;
  packed.oc = oc;
  packed.transformed = Buffer(static_cast<std::size_t>(kFrequencies) * packed.ic * packed.oc);
  packed.bias = copy(folded.bias);
  const int panel = kernels.panel, panels = kGroup / panel;
  const std::size_t panel_floats = static_cast<std::size_t>(packed.ic) * panel;
  const std::size_t row = panels * panel_floats;  // from one frequency to the next
  pool.run(packed.oc / panel, [&](int p, int) {
    float* out = packed.transformed.data() + p / panels * kFrequencies * row + p % panels * panel_floats;
    for (int c = 0; c < packed.ic; ++c) transform_row(folded.weight, packed.ic, c, p * panel, panel, out + c * panel, row);
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

Buffer pack_projection(std::span<const float> weight, int panel) {
  constexpr int depth = kChannels[kBlocks];
  Buffer packed(weight.size());
  for (int oc = 0; oc < kMapChannels; ++oc) {
    for (int k = 0; k < depth; ++k) {
      packed.data()[(oc / panel * depth + k) * panel + oc % panel] = weight[static_cast<std::size_t>(oc) * depth + k];
    }
  }
  return packed;
}

}  // namespace

InferenceWeights pack_weights(const Architecture& architecture, std::span<const float> values, const Kernels& kernels,
                              ThreadPool& pool) {
  const ParameterTable table = parameter_table(architecture);
  InferenceWeights weights;
  const auto blocks = fold_blocks(table, values);
  weights.first = pack_first(blocks[0].weight);
  weights.first_bias = copy(blocks[0].bias);
  for (std::size_t b = 1; b < kBlocks; ++b) weights.conv[b - 1] = pack_conv(blocks[b], kChannels[b], kChannels[b + 1], kernels, pool);
  weights.projection = pack_projection(parameter(values, table, kProjection), kernels.panel);
  const auto head = parameter(values, table, kHeadWeight);
  weights.head.assign(head.begin(), head.end());
  weights.head_bias = parameter(values, table, kHeadBias)[0];
  return weights;
}

}  // namespace lfm::cpu
