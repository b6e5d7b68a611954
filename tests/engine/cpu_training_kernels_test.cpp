// The vector kernels of the CPU engine's training, for every instruction set this machine runs, against plain loops in
// double.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/training/training_kernels.h"
#include "src/model/architecture.h"
#include "tests/cases/cpu_paths.h"
#include "tests/cases/deviation.h"
#include "tests/catch.h"

namespace lfm::cpu {
namespace {

/// Training is in FP32.
const std::vector<cases::CpuPath>& paths() {
  static const std::vector<cases::CpuPath> all = [] {
    std::vector<cases::CpuPath> list = cases::cpu_paths();
    std::erase_if(list, [](const cases::CpuPath& path) { return path.is_bf16(); });
    return list;
  }();
  return all;
}

constexpr std::size_t kChannels64 = 64;

Buffer filled(std::size_t count, float value = 0) {
  Buffer buffer(padded_floats(count));
  std::fill_n(buffer.data(), buffer.size(), value);
  return buffer;
}

Buffer noise(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Buffer buffer = filled(count);
  std::generate_n(buffer.data(), count, [&] { return normal(generator); });
  return buffer;
}

std::vector<float> values_of(const Buffer& buffer, std::size_t count) { return {buffer.data(), buffer.data() + count}; }

class CpuTrainingKernels {
 protected:
  explicit CpuTrainingKernels(const cases::CpuPath& path) : path_(path), kernels_(training_kernels(*path.kernels)) {}

  /// Rounding alone; a wrong coefficient or lane gives 1e-1 and more. For values near 1, or relative.
  void expect(const char* what, const Buffer& got, const std::vector<double>& expected, double limit = 1e-4) const {
    CHECK(cases::close_relative(fmt::format("{} {}", path_.name, what), values_of(got, expected.size()),
                                std::vector<float>(expected.begin(), expected.end()), limit));
  }

  const cases::CpuPath& path_;
  const TrainingKernels& kernels_;
};

double relu(double v) { return std::max(0.0, v); }

/// One tile of a convolution of 64 by 64 channels, its four Winograd transforms and products: what conv_training.cpp
/// does for many at a time. `rows` and `columns` are of its outputs.
struct Tile {
  int rows, columns;
  Buffer in = noise(kInputSide * kInputSide * kChannels64, 1);  // [5][5][64]
  Buffer weight = noise(kChannels64 * kChannels64 * 4, 2);      // [oc][ic][4]
  Buffer scale = noise(kChannels64, 3), shift = noise(kChannels64, 4), sign = noise(kChannels64, 5);
  Buffer v = filled(kProducts * kChannels64);                // [25][ic]
  Buffer u = filled(kProducts * kChannels64 * kChannels64);  // [ic][25][oc]

  Tile(const TrainingKernels& kernels, int r, int c) : rows(r), columns(c) {
    for (std::size_t i = 0; i < sign.size(); ++i) sign.data()[i] = sign.data()[i] < 0 ? -1.0f : 1.0f;
    kernels.input_tile({in.data(),
                        kInputSide * kChannels64,
                        kChannels64,
                        rows + 1,
                        columns + 1,
                        kChannels64,
                        {scale.data(), shift.data()},
                        v.data(),
                        kChannels64,
                        kProducts * kChannels64});
    for (std::size_t ic = 0; ic < kChannels64; ++ic) {
      kernels.transform_filters({weight.data() + 4 * ic, 4 * kChannels64, u.data() + ic * kProducts * kChannels64,
                                 static_cast<int>(kChannels64), 0, kChannels64});
    }
  }
  /// The network's input to the convolution, after batch norm and ReLU.
  double input(int y, int x, std::size_t ic) const {
    return relu(double{scale.data()[ic]} * in.data()[(y * kInputSide + x) * kChannels64 + ic] + shift.data()[ic]);
  }
  double tap(std::size_t oc, std::size_t ic, int t) const { return weight.data()[(oc * kChannels64 + ic) * 4 + t]; }
  double convolved(int y, int x, std::size_t oc) const {
    double sum = 0;
    for (std::size_t ic = 0; ic < kChannels64; ++ic) {
      for (int t = 0; t < 4; ++t) sum += tap(oc, ic, t) * input(y + t / 2, x + t % 2, ic);
    }
    return sum;
  }
};

std::vector<std::pair<int, int>> remainders() { return {{4, 4}, {4, 3}, {3, 4}, {2, 4}, {1, 1}, {2, 2}, {3, 1}}; }

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.WinogradForward") {
  for (const auto& [rows, columns] : remainders()) {
    const Tile tile(kernels_, rows, columns);
    Buffer m = filled(kProducts * kChannels64);
    for (std::size_t i = 0; i < m.size(); ++i) {
      const std::size_t product = i / kChannels64, oc = i % kChannels64;
      double sum = 0;
      for (std::size_t ic = 0; ic < kChannels64; ++ic) {
        sum += double{tile.v.data()[product * kChannels64 + ic]} *
               tile.u.data()[(ic * kProducts + product) * kChannels64 + oc];
      }
      m.data()[i] = static_cast<float>(sum);
    }
    const Buffer centre = noise(kChannels64, 6);
    Buffer out = filled(kOutputSide * kOutputSide * kChannels64, 7), pooled = filled(4 * kChannels64, 7);
    Buffer sum = filled(kChannels64), square = filled(kChannels64);
    kernels_.output_tile({m.data(), kChannels64, centre.data(), out.data(), kOutputSide * kChannels64, kChannels64,
                          rows, columns, tile.sign.data(), pooled.data(), 2 * kChannels64, sum.data(), square.data()});

    std::vector<double> y(out.size(), 7), largest(pooled.size(), 7), sums(kChannels64), squares(kChannels64);
    for (int i = 0; i < rows * columns; ++i) {
      for (std::size_t oc = 0; oc < kChannels64; ++oc) {
        const int at = i / columns * kOutputSide + i % columns;
        const double value = tile.convolved(i / columns, i % columns, oc) - centre.data()[oc];
        y[at * kChannels64 + oc] = value;
        sums[oc] += value;
        squares[oc] += value * value;
      }
    }
    for (int i = 0; i < rows / 2 * (columns / 2); ++i) {
      const int top = i / (columns / 2) * 2, left = i % (columns / 2) * 2;
      for (std::size_t oc = 0; oc < kChannels64; ++oc) {
        const auto at = [&](int dy, int dx) { return y[((top + dy) * kOutputSide + left + dx) * kChannels64 + oc]; };
        const double s = tile.sign.data()[oc];
        largest[(top + left / 2) * kChannels64 + oc] =
            s * std::max({s * at(0, 0), s * at(0, 1), s * at(1, 0), s * at(1, 1)});
      }
    }
    expect("outputs", out, y);
    expect("pooled", pooled, largest);
    expect("sums", sum, sums);
    expect("squares", square, squares);
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.WinogradBackward") {
  for (const bool pool : {false, true}) {
    for (const auto& [rows, columns] : remainders()) {
      const Tile tile(kernels_, rows, columns);
      const Buffer out = noise(kOutputSide * kOutputSide * kChannels64, 7);
      const Buffer grad = noise(kOutputSide * kOutputSide * kChannels64, 8);
      const Buffer gain = noise(kChannels64, 9), offset = noise(kChannels64, 10), slope = noise(kChannels64, 11);
      Buffer p = filled(kProducts * kChannels64);
      kernels_.grad_output_tile({out.data(), kOutputSide * kChannels64, kChannels64, rows, columns, tile.sign.data(),
                                 grad.data(), (pool ? 2 : kOutputSide) * kChannels64, pool, gain.data(), offset.data(),
                                 slope.data(), p.data(), kChannels64});

      // The gradient of the convolution's output, by the definition.
      std::vector<double> dy(kOutputSide * kOutputSide * kChannels64);
      for (int i = 0; i < rows * columns; ++i) {
        const int y = i / columns, x = i % columns, at = y * kOutputSide + x;
        for (std::size_t oc = 0; oc < kChannels64; ++oc) {
          double own = pool ? 0 : grad.data()[at * kChannels64 + oc];
          if (pool && (y | 1) < rows && (x | 1) < columns) {
            const auto key = [&](int j) {
              return tile.sign.data()[oc] *
                     out.data()[(((y & ~1) + j / 2) * kOutputSide + (x & ~1) + j % 2) * kChannels64 + oc];
            };
            int winner = 0;
            for (int j = 1; j < 4; ++j) winner = key(j) > key(winner) ? j : winner;
            if (winner == y % 2 * 2 + x % 2) own = grad.data()[(y / 2 * 2 + x / 2) * kChannels64 + oc];
          }
          dy[at * kChannels64 + oc] =
              gain.data()[oc] * own + offset.data()[oc] + double{slope.data()[oc]} * out.data()[at * kChannels64 + oc];
        }
      }

      // Of the weights: filters of one output channel lie four taps apart.
      constexpr std::size_t oc = 5;
      Buffer du = filled(2 * kProducts * kChannels64);  // two partial sums
      for (std::size_t i = 0; i < kProducts * kChannels64; ++i) {
        du.data()[i] = 0.75f * tile.v.data()[i] * p.data()[i / kChannels64 * kChannels64 + oc];
        du.data()[kProducts * kChannels64 + i] = du.data()[i] / 3;
      }
      Buffer dw = filled(4 * kChannels64, 1);
      kernels_.filter_gradient({du.data(), kChannels64, 2, kProducts * kChannels64, dw.data(), 4, true});
      std::vector<double> expected(4 * kChannels64, 1);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const int t = static_cast<int>(i % 4);
        for (int j = 0; j < rows * columns; ++j) {
          const int y = j / columns, x = j % columns;
          expected[i] += dy[(y * kOutputSide + x) * kChannels64 + oc] * tile.input(y + t / 2, x + t % 2, i / 4);
        }
      }
      expect("weights' gradient", dw, expected);

      // Of the input: added to what the tile above left on the shared row.
      Buffer dv = filled(kProducts * kChannels64);
      for (std::size_t i = 0; i < dv.size(); ++i) {
        const std::size_t product = i / kChannels64, ic = i % kChannels64;
        double sum = 0;
        for (std::size_t o = 0; o < kChannels64; ++o) {
          sum +=
              double{tile.u.data()[(ic * kProducts + product) * kChannels64 + o]} * p.data()[product * kChannels64 + o];
        }
        dv.data()[i] = static_cast<float>(sum);
      }
      Buffer dx = filled(kInputSide * kInputSide * kChannels64, 3);
      kernels_.grad_input_tile({dv.data(), kChannels64, dx.data(), kInputSide * kChannels64, kChannels64, rows + 1,
                                columns + 1, true, false});
      std::vector<double> input(dx.size(), 3);
      for (int i = 0; i < (rows + 1) * (columns + 1); ++i) {
        const int y = i / (columns + 1), x = i % (columns + 1);
        for (std::size_t ic = 0; ic < kChannels64; ++ic) {
          double sum = y == 0 ? 3 : 0;
          for (int t = 0; t < 4; ++t) {
            const int oy = y - t / 2, ox = x - t % 2;
            if (oy < 0 || ox < 0 || oy >= rows || ox >= columns) continue;
            for (std::size_t o = 0; o < kChannels64; ++o) {
              sum += tile.tap(o, ic, t) * dy[(oy * kOutputSide + ox) * kChannels64 + o];
            }
          }
          input[(y * kInputSide + x) * kChannels64 + ic] = sum;
        }
      }
      expect("input's gradient", dx, input);
    }
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.OuterProduct") {
  for (const int depth : {1, 2, 7, 33}) {
    const Buffer a = noise(depth * kChannels64, 1), b = noise(depth * kChannels64, 2);
    for (const bool accumulate : {false, true}) {
      Buffer c = filled(kChannels64 * kChannels64, 2);
      kernels_.outer_product({depth, a.data(), b.data(), c.data(), accumulate});
      std::vector<double> expected(c.size(), accumulate ? 2 : 0);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        for (int k = 0; k < depth; ++k) {
          expected[i] +=
              double{a.data()[k * kChannels64 + i / kChannels64]} * b.data()[k * kChannels64 + i % kChannels64];
        }
      }
      expect("product", c, expected);
    }
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.BatchNormAndRelu") {
  constexpr int kPixels = 5, kWide = 128;
  const Buffer x = noise(kPixels * kWide, 1), scale = noise(kWide, 2), shift = noise(kWide, 3);
  const Affine norm{scale.data(), shift.data()};
  const auto y = [&](std::size_t i) { return double{scale.data()[i % kWide]} * x.data()[i] + shift.data()[i % kWide]; };

  Buffer slabs = filled(kPixels * kWide);
  kernels_.normalize({kPixels, kWide, x.data(), norm, slabs.data()});
  std::vector<double> normalized(slabs.size());
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const std::size_t slab = i % kWide / kChannels64, pixel = i / kWide;
    normalized[(slab * kPixels + pixel) * kChannels64 + i % kChannels64] = relu(y(i));
  }
  expect("normalised", slabs, normalized);

  const Buffer before = noise(kPixels * kWide, 4);
  Buffer grad = noise(kPixels * kWide, 4), sum = filled(kWide, 1), sum_x = filled(kWide, 2);
  kernels_.relu_grad({kPixels, kWide, x.data(), norm, grad.data(), sum.data(), sum_x.data()});
  std::vector<double> gradient(grad.size()), sums(kWide, 1), sums_x(kWide, 2);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = y(i) > 0 ? before.data()[i] : 0.0;
    sums[i % kWide] += gradient[i];
    sums_x[i % kWide] += gradient[i] * x.data()[i];
  }
  expect("gradient", grad, gradient);
  expect("sums", sum, sums);
  expect("sums of x", sum_x, sums_x);
}

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.Projection") {
  constexpr std::size_t kPixels = 3, kDeep = kChannels[kBlocks], kMaps = kMapChannels;
  Buffer grad_maps = noise(kPixels * kMaps, 1);
  for (std::size_t i = 0; i < grad_maps.size(); ++i) {
    if (i % 7 != 0) grad_maps.data()[i] = 0;  // as top-k leaves it
  }
  const Buffer weight = noise(kMaps * kDeep, 2), x = noise(kPixels * kDeep, 3), scale = noise(kDeep, 4),
               shift = noise(kDeep, 5);
  Buffer grad = filled(kPixels * kDeep), grad_weight = filled(kMaps * kDeep, 1), sum = filled(kDeep),
         sum_x = filled(kDeep);
  kernels_.projection_grad({static_cast<int>(kPixels),
                            grad_maps.data(),
                            weight.data(),
                            x.data(),
                            {scale.data(), shift.data()},
                            grad.data(),
                            grad_weight.data(),
                            sum.data(),
                            sum_x.data()});

  std::vector<double> dx(kPixels * kDeep), dw(kMaps * kDeep, 1), sums(kDeep), sums_x(kDeep);
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const std::size_t pixel = i / kDeep, c = i % kDeep;
    const double y = relu(double{scale.data()[c]} * x.data()[i] + shift.data()[c]);
    for (std::size_t o = 0; o < kMaps; ++o) {
      const double g = grad_maps.data()[pixel * kMaps + o];
      dw[o * kDeep + c] += g * y;
      if (y > 0) dx[i] += g * weight.data()[o * kDeep + c];
    }
    sums[c] += dx[i];
    sums_x[c] += dx[i] * x.data()[i];
  }
  expect("gradient", grad, dx);
  expect("weights' gradient", grad_weight, dw);
  expect("sums", sum, sums);
  expect("sums of x", sum_x, sums_x);
}

// The passes of the ResNet trunk, with a norm on the shortcut and without.
TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.PassesOfBottlenecks") {
  constexpr std::size_t kPixels = 5, kCount = kPixels * kChannels64;
  const Buffer x = noise(kCount, 1), other = noise(kCount, 2), grad = noise(kCount, 3);
  const Buffer a = noise(kChannels64, 4), b = noise(kChannels64, 5), c = noise(kChannels64, 6),
               d = noise(kChannels64, 7);
  const auto channel = [](const Buffer& values, std::size_t i) { return double{values.data()[i % kChannels64]}; };
  for (const bool normed : {false, true}) {
    Buffer sum = filled(kChannels64, 1), sum_x = filled(kChannels64, 2), sum_other = filled(kChannels64, 3);
    std::vector<double> sums(kChannels64, 1), sums_x(kChannels64, 2), sums_other(kChannels64, 3);
    kernels_.channel_moments({kPixels, x.data(), sum.data(), sum_x.data()});
    Buffer out = filled(kCount), masked = noise(kCount, 3), applied = filled(kCount);
    kernels_.join({kPixels,
                   x.data(),
                   {a.data(), b.data()},
                   other.data(),
                   normed ? Affine{c.data(), d.data()} : Affine{},
                   out.data()});
    kernels_.join_grad({kPixels, out.data(), masked.data(), x.data(), normed ? other.data() : nullptr, sum.data(),
                        sum_x.data(), sum_other.data()});
    kernels_.norm_grad({kPixels, grad.data(), x.data(), a.data(), b.data(), c.data(), applied.data()});

    std::vector<double> outs(kCount), grads(kCount), applies(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      const double xi = x.data()[i], oi = other.data()[i], gi = grad.data()[i];
      outs[i] = relu(channel(a, i) * xi + channel(b, i) + (normed ? channel(c, i) * oi + channel(d, i) : oi));
      grads[i] = outs[i] > 0 ? gi : 0;
      applies[i] = channel(a, i) * gi + channel(b, i) + channel(c, i) * xi;
      sums[i % kChannels64] += xi + grads[i];
      sums_x[i % kChannels64] += xi * xi + grads[i] * xi;
      if (normed) sums_other[i % kChannels64] += grads[i] * oi;
    }
    expect("joined", out, outs);
    expect("gradient", masked, grads);
    expect("norm's gradient", applied, applies);
    expect("sums", sum, sums);
    expect("sums of x", sum_x, sums_x);
    expect("sums of the shortcut", sum_other, sums_other);
  }
}

TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.Adam") {
  constexpr std::size_t kCount = 96;  // whole vectors of every instruction set
  const Buffer gradient = noise(kCount, 1), p0 = noise(kCount, 2), m0 = noise(kCount, 3);
  Buffer p = noise(kCount, 2), m = noise(kCount, 3), v = filled(kCount, 0.25f);
  constexpr double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 0.01, step = 2e-3, correction = 1.5;
  kernels_.adam({kCount, p.data(), m.data(), v.data(), gradient.data(), static_cast<float>(beta1),
                 static_cast<float>(beta2), static_cast<float>(eps), static_cast<float>(decay),
                 static_cast<float>(step), static_cast<float>(correction)});
  std::vector<double> parameters(kCount), means(kCount), squares(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    const double g = gradient.data()[i] + decay * p0.data()[i];
    means[i] = m0.data()[i] + (1 - beta1) * (g - m0.data()[i]);
    squares[i] = beta2 * 0.25 + (1 - beta2) * g * g;
    parameters[i] = p0.data()[i] - step * means[i] / (std::sqrt(squares[i]) * correction + eps);
  }
  expect("parameters", p, parameters, 1e-6);
  expect("means", m, means, 1e-6);
  expect("squares", v, squares, 1e-6);
}

// Integers: the same sums, to the last one.
TEST_CASE_METHOD_FOR_EACH(CpuTrainingKernels, paths(), "CpuTrainingKernels.MomentsOfPatches") {
  for (const int windows : {1, 2, 31, 32, 45}) {
    for (const int first_row : {0, 1}) {
      const std::size_t row = 3 * (static_cast<std::size_t>(windows) + 2);
      std::mt19937 generator(static_cast<unsigned>(windows));
      std::vector<std::uint8_t> pixels(4 * row);
      std::ranges::generate(pixels, [&] { return static_cast<std::uint8_t>(generator()); });
      std::vector<std::int16_t> scratch(patch_moments_scratch(windows));
      std::vector<std::int64_t> sum(kPatch, 3), product(kPatch * kPatch, 4);
      const int y0 = first_row;  // the window's upper row; cells begin at even rows and columns
      kernels_.patch_moments(
          {pixels.data() + y0 * row, row, first_row, windows, scratch.data(), sum.data(), product.data()});

      std::vector<std::int64_t> sums(kPatch, 3), products(kPatch * kPatch, 4);
      for (int x = 0; x < windows; ++x) {
        std::int64_t patch[kPatch];
        for (int i = 0; i < kPatch; ++i) {
          const int py = y0 + i / 6, px = x + i / 3 % 2, c = i % 3;
          const auto at = [&](int yy, int xx) { return int{pixels[yy * row + 3 * xx + c]}; };
          patch[i] = std::abs(at(py, px) - at(py & ~1, px & ~1));
        }
        for (int i = 0; i < kPatch; ++i) {
          sums[i] += patch[i];
          for (int j = i; j < kPatch; ++j) products[i * kPatch + j] += patch[i] * patch[j];
        }
      }
      CHECK(sum == sums);
      CHECK(product == products);
    }
  }
}

}  // namespace
}  // namespace lfm::cpu
