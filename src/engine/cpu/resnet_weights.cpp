#include "src/engine/cpu/resnet_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/model/fold.h"

namespace lfm::cpu {
namespace {

TrunkWeights pack_trunk(const TrunkConvolution& c, const FoldedBlock& folded, int panel) {
  const int taps = c.kernel * c.kernel;
  const bool is_stem = c.ic < kSlab;
  TrunkWeights weights;
  weights.segments = is_stem ? 1 : taps * c.ic / kSlab;
  weights.depth = is_stem ? taps * c.ic : kSlab;
  weights.packed = Buffer(folded.weight.size());
  weights.bias = Buffer(folded.bias.size());
  std::ranges::copy(folded.bias, weights.bias.data());
  float* to = weights.packed.data();
  for (int first = 0; first < c.oc; first += panel) {
    // Rows of B: the channels of a tap, tap after tap.
    for (int tap = 0; tap < taps; ++tap) {
      for (int i = 0; i < c.ic; ++i) {
        for (int o = first; o < first + panel; ++o)
          *to++ = folded.weight[(static_cast<std::size_t>(o) * c.ic + i) * taps + tap];
      }
    }
  }
  return weights;
}

using Row = std::array<double, 3>;
constexpr std::array<Row, kTile3In> kTransform3 = {{{1.0 / 4, 0, 0},
                                                    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                                    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                                    {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                                    {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                                    {0, 0, 1}}};

double transformed(const float* taps, const Row& down, const Row& right) {
  double sum = 0;
  for (std::size_t y = 0; y < 3; ++y) {
    for (std::size_t x = 0; x < 3; ++x) sum += down[y] * right[x] * taps[3 * y + x];
  }
  return sum;
}

TrunkWeights pack_winograd(const TrunkConvolution& c, const FoldedBlock& folded, int panel) {
  TrunkWeights weights;
  weights.segments = c.ic / kSlab;
  weights.depth = kSlab;
  weights.packed = Buffer(static_cast<std::size_t>(kFrequencies3) * c.ic * c.oc);
  weights.bias = Buffer(folded.bias.size());
  std::ranges::copy(folded.bias, weights.bias.data());
  float* to = weights.packed.data();
  for (const Row& down : kTransform3) {
    for (const Row& right : kTransform3) {
      for (int first = 0; first < c.oc; first += panel) {
        for (int i = 0; i < c.ic; ++i) {
          for (int o = first; o < first + panel; ++o) {
            *to++ = static_cast<float>(
                transformed(&folded.weight[(static_cast<std::size_t>(o) * c.ic + i) * 9], down, right));
          }
        }
      }
    }
  }
  return weights;
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

}  // namespace

ResnetWeights pack_resnet(const Architecture& architecture, std::span<const float> values, int panel) {
  ResnetWeights weights;
  weights.head = linear_head(architecture, values);
  bool whole = true;
  for (std::size_t i = 0; i < kTrunkConvolutions.size(); ++i) {
    const FoldedBlock folded = fold_convolution(architecture, values, static_cast<int>(i));
    const TrunkConvolution& c = kTrunkConvolutions[i];
    weights.convolutions[i] = is_winograd(c) ? pack_winograd(c, folded, panel) : pack_trunk(c, folded, panel);
    whole = whole && all_finite(folded.weight) && all_finite(folded.bias);
  }
  // The maximum of a window may leave out what is no number; the logit must not.
  if (!whole) weights.head.bias = std::numeric_limits<double>::quiet_NaN();
  return weights;
}

}  // namespace lfm::cpu
