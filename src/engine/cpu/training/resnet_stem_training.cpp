// The stem in training: conv 3x3 by 2 of the residual, batch norm, ReLU, the largest of each 3x3 window by 2. The
// residual is kept in grey levels, what one of them amounts to goes into the weights; of every pooled value the tap of
// its window is kept that it came from, the first of equals.
#include <algorithm>
#include <array>
#include <cstring>

#include "src/engine/cpu/residual.h"
#include "src/engine/cpu/training/resnet_training.h"
#include "src/model/front_end.h"

namespace lfm::cpu {
namespace {

constexpr int kStemTaps = 3, kTapRow = kStemTaps * 3, kStemDepth = kStemTaps * kTapRow;
constexpr int kStemRows = 8;  // of the convolution, in a task

/// Of the residual with its border, [1 + h + 1][1 + w + 1][3].
std::size_t bordered_row(const MapSize& input) { return static_cast<std::size_t>(input.w + 2) * 3; }
std::size_t bordered_image(const MapSize& input) { return static_cast<std::size_t>(input.h + 2) * bordered_row(input); }

/// A row of windows [width][64], of which 27 values are used: a tap's row, its column, the channel.
void unfold(const float* image, const MapSize& input, int row, int width, float* to) {
  for (int x = 0; x < width; ++x) {
    for (int tap = 0; tap < kStemTaps; ++tap) {
      std::memcpy(to + x * kSlab + tap * kTapRow, image + (2 * row + tap) * bordered_row(input) + 6 * x,
                  kTapRow * sizeof(float));
    }
  }
}

/// Where the weight of output 0 for a window's value lies in [oc][3][3][3].
constexpr std::size_t weight_at(int value) {
  return static_cast<std::size_t>(value % 3 * 9 + value / kTapRow * 3 + value % kTapRow / 3);
}

/// Calls visit(tap, pixel of the map) for the pixels of a window that lie in the map, in reading order.
template <typename Visit>
void for_window(const MapSize& map, int row, int column, const Visit& visit) {
  for (int tap = 0; tap < 9; ++tap) {
    const int y = 2 * row - 1 + tap / 3, x = 2 * column - 1 + tap % 3;
    if (y >= 0 && y < map.h && x >= 0 && x < map.w) visit(tap, static_cast<std::size_t>(y) * map.w + x);
  }
}

}  // namespace

void ResnetTraining::residual(const ResnetStep& step) {
  const MapSize& input = step.plan.input;
  const PixelBatch& batch = step.batch;
  machine_.pool.run(step.plan.n, [&](int image, int) {
    float* const to = step.at(step.plan.residual) + static_cast<std::size_t>(image) * bordered_image(input);
    std::fill_n(to, bordered_image(input), 0.0f);
    for (int y = 0; y < input.h; ++y) {
      residual_row(step.architecture.front_end, batch.image(image), batch.height, batch.width, y, input.w,
                   to + static_cast<std::size_t>(y + 1) * bordered_row(input) + 3);
    }
  });
}

void ResnetTraining::stem(const ResnetStep& step) {
  const ResnetTrainingPlan& plan = step.plan;
  const MapSize &input = plan.input, &size = plan.size[0], &pooled = plan.stem;
  const SlabMaps conv = output(0, step), out = output_of(-1, step);
  const int panel = machine_.kernels.fp32.panel, tasks = (size.h + kStemRows - 1) / kStemRows;
  float* const packed = step.at(plan.packed);
  const auto weight = step.value(trunk_weight(0));
  const FrontEndRow& row_of_front_end = front_end(step.architecture);
  for (int o = 0; o < kStemChannels; ++o) {
    for (int value = 0; value < kStemDepth; ++value) {
      const double level = row_of_front_end.scale(static_cast<std::size_t>(value % 3), step.architecture.normalisation);
      packed[(o / panel * kStemDepth + value) * panel + o % panel] =
          static_cast<float>(level * double{weight[static_cast<std::size_t>(o) * kStemDepth + weight_at(value)]});
    }
  }
  const float* const bias = centred_bias(0, step);
  machine_.pool.run(plan.n * tasks, [&](int task, int worker) {
    const int image = task / tasks, first = task % tasks * kStemRows;
    const float* from = step.at(plan.residual) + static_cast<std::size_t>(image) * bordered_image(input);
    float* const unfolded = step.at(plan.workers) + static_cast<std::size_t>(worker) * plan.worker_floats;
    for (int y = first; y < std::min(size.h, first + kStemRows); ++y) {
      unfold(from, input, y, size.w, unfolded);
      const float* a = unfolded;
      for (int p = 0; p < kStemChannels / panel; ++p) {
        machine_.kernels.convolve({&a, 1, kStemDepth, size.w, packed + p * kStemDepth * panel, bias + p * panel,
                                   nullptr, false, conv.row(0, image, y) + p * panel});
      }
    }
  });
  finish_norm(0, step);

  const Affine n = norm(0).norm();
  std::uint8_t* const winners = reinterpret_cast<std::uint8_t*>(step.at(plan.winner));
  machine_.pool.run(plan.n * pooled.h, [&](int task, int) {
    const int image = task / pooled.h, y = task % pooled.h;
    for (int x = 0; x < pooled.w; ++x) {
      float* const best = out.row(0, image, y) + x * kSlab;
      std::uint8_t* const winner = winners + (best - out.data);
      bool first = true;
      for_window(size, y, x, [&](int tap, std::size_t pixel) {
        const float* from = conv.image(0, image) + pixel * kSlab;
        for (int c = 0; c < kSlab; ++c) {
          const float value = n.scale[c] * from[c] + n.shift[c];
          const bool wins = first || value > best[c];
          best[c] = wins ? value : best[c];
          winner[c] = wins ? static_cast<std::uint8_t>(tap) : winner[c];
        }
        first = false;
      });
      for (int c = 0; c < kSlab; ++c) best[c] = best[c] < 0 ? 0 : best[c];
    }
  });
}

void ResnetTraining::backward_stem(const ResnetStep& step, GradientMode mode) {
  const ResnetTrainingPlan& plan = step.plan;
  const MapSize &input = plan.input, &size = plan.size[0], &pooled = plan.stem;
  const SlabMaps grad_out = gradient_of(-1, step);
  const SlabMaps grad = {step.at(plan.grad_wide), plan.n, size, kStemChannels};
  const std::uint8_t* const winners = reinterpret_cast<const std::uint8_t*>(step.at(plan.winner));
  machine_.pool.run(plan.n, [&](int image, int) {
    float* const to = grad.image(0, image);
    std::fill_n(to, grad.image_floats(), 0.0f);
    for (int y = 0; y < pooled.h; ++y) {
      for (int x = 0; x < pooled.w; ++x) {
        const float* from = grad_out.row(0, image, y) + x * kSlab;
        const std::uint8_t* winner = winners + (from - grad_out.data);
        for (int c = 0; c < kSlab; ++c) {
          const int row = 2 * y - 1 + winner[c] / 3, column = 2 * x - 1 + winner[c] % 3;
          to[(static_cast<std::size_t>(row) * size.w + column) * kSlab + c] += from[c];
        }
      }
    }
  });
  relu_norm_backward(0, grad, step, mode);

  constexpr std::size_t product = std::size_t{kSlab} * kSlab;
  const int slots = slot_count(plan.n);
  float* const sums = step.at(plan.slots);
  machine_.pool.run(slots, [&](int slot, int worker) {
    float* const unfolded = step.at(plan.workers) + static_cast<std::size_t>(worker) * plan.worker_floats;
    std::fill_n(unfolded, static_cast<std::size_t>(size.w) * kSlab, 0.0f);  // beyond the 27 nothing is written
    bool accumulate = false;
    for (int image = part_begin(plan.n, slot, slots); image < part_begin(plan.n, slot + 1, slots); ++image) {
      const float* from = step.at(plan.residual) + static_cast<std::size_t>(image) * bordered_image(input);
      for (int y = 0; y < size.h; ++y) {
        unfold(from, input, y, size.w, unfolded);
        machine_.training.outer_product(
            {size.w, unfolded, grad.row(0, image, y), sums + static_cast<std::size_t>(slot) * product, accumulate});
        accumulate = true;
      }
    }
  });
  const auto grad_weight = step.gradient(trunk_weight(0));
  for (int value = 0; value < kStemDepth; ++value) {
    const double level =
        front_end(step.architecture).scale(static_cast<std::size_t>(value % 3), step.architecture.normalisation);
    for (int o = 0; o < kStemChannels; ++o) {
      double sum = 0;
      for (int slot = 0; slot < slots; ++slot)
        sum += double{sums[static_cast<std::size_t>(slot) * product + value * kSlab + o]};
      store_gradient(grad_weight[static_cast<std::size_t>(o) * kStemDepth + weight_at(value)], level * sum, mode);
    }
  }
}

}  // namespace lfm::cpu
