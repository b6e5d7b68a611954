// The stem: residual -> conv 3x3 by 2 -> bias -> ReLU -> the largest of each 3x3 window by 2, a row of outputs at a
// time. A task keeps the latest three rows of residual and the latest three of the convolution: each is computed once,
// but where tasks meet.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "src/engine/cpu/residual.h"
#include "src/engine/cpu/resnet.h"

namespace lfm::cpu {
namespace {

constexpr int kTaps = 3, kWindow = kTaps * 3;  // of a row: taps, and their values

/// A thread's scratch, in order.
struct StemScratch {
  std::size_t residual_row;  ///< [1 + width + 1][3], zeros around
  std::size_t unfolded;      ///< [width of the convolution][64], of them 27 used
  std::size_t conv_row;      ///< [width of the convolution][64]

  explicit StemScratch(const ResnetPlan& plan)
      : residual_row(padded_floats(static_cast<std::size_t>(plan.input.w + 3) * 3)),
        unfolded(static_cast<std::size_t>(plan.stem_conv.w) * kSlab),
        conv_row(unfolded) {}
  std::size_t floats() const { return kTaps * residual_row + unfolded + kTaps * conv_row + conv_row; }
};

void take_larger(float* __restrict a, const float* __restrict b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) a[i] = a[i] < b[i] ? b[i] : a[i];
}

}  // namespace

std::size_t stem_scratch(const ResnetPlan& plan) { return StemScratch(plan).floats(); }

void stem_rows(const ResnetPlan& plan, const Architecture& architecture, const TrunkWeights& weights,
               const Kernels& kernels, const std::uint8_t* picture, int height, int width, int first, int last,
               float* scratch, float* out) {
  const StemScratch sizes(plan);
  float* const residual = scratch;
  float* const unfolded = residual + kTaps * sizes.residual_row;
  float* const convolved = unfolded + sizes.unfolded;
  float* const tallest = convolved + kTaps * sizes.conv_row;
  const int panel = kernels.fp32.panel, columns = plan.stem_conv.w;

  int have_residual = -2;  // the latest row in scratch
  const auto residual_at = [&](int row) {
    return residual + (row + kTaps) % kTaps * static_cast<std::ptrdiff_t>(sizes.residual_row);
  };
  const auto make_residual = [&](int row) {
    float* to = residual_at(row);
    std::fill_n(to, sizes.residual_row, 0.0f);
    if (row >= 0 && row < plan.input.h)
      residual_row(architecture.front_end, picture, height, width, row, plan.input.w, to + 3);
    have_residual = row;
  };
  const auto conv_at = [&](int row) { return convolved + row % kTaps * static_cast<std::ptrdiff_t>(sizes.conv_row); };
  const auto convolve = [&](int row) {
    for (int r = std::max(have_residual + 1, 2 * row - 1); r <= 2 * row + 1; ++r) make_residual(r);
    for (int tap = 0; tap < kTaps; ++tap) {
      const float* from = residual_at(2 * row - 1 + tap);
      for (int x = 0; x < columns; ++x)
        std::memcpy(unfolded + x * kSlab + tap * kWindow, from + 6 * x, kWindow * sizeof(float));
    }
    for (int p = 0; p < kStemChannels / panel; ++p) {
      const float* a = unfolded;
      kernels.convolve({&a, 1, weights.depth, columns, weights.packed.data() + p * weights.panel_floats(panel),
                        weights.bias.data() + p * panel, nullptr, true, conv_at(row) + p * panel});
    }
  };

  const std::size_t row_floats = sizes.conv_row;
  int have_conv = -1;
  for (int y = first; y < last; ++y) {
    const int top = std::max(2 * y - 1, 0), bottom = std::min(2 * y + 1, plan.stem_conv.h - 1);
    for (int row = std::max(have_conv + 1, top); row <= bottom; ++row) convolve(row);
    have_conv = bottom;
    std::memcpy(tallest, conv_at(top), row_floats * sizeof(float));
    for (int row = top + 1; row <= bottom; ++row) take_larger(tallest, conv_at(row), row_floats);
    float* to = out + static_cast<std::size_t>(y) * plan.stem.w * kSlab;
    for (int x = 0; x < plan.stem.w; ++x, to += kSlab) {
      const int left = std::max(2 * x - 1, 0), right = std::min(2 * x + 1, columns - 1);
      std::memcpy(to, tallest + static_cast<std::size_t>(left) * kSlab, kSlab * sizeof(float));
      for (int column = left + 1; column <= right; ++column)
        take_larger(to, tallest + static_cast<std::size_t>(column) * kSlab, kSlab);
    }
  }
}

}  // namespace lfm::cpu
