// A kernel's copy, right or broken in one way (CMakeLists.txt says how), run at a small shape under the memory checker
// and compared with its definition. One driver a kernel, NAME.cpp; mutant_test.cpp judges.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/element.h"
#include "kernels/simt/check/memory_checker.h"

namespace lfm::test {

/// The kernel's name in its launch.
extern const char* const kMutant;
/// Sectors that its loads of global memory take, as a share of the least.
extern const double kSectors;

/// Runs it; returns the largest deviation of a result, relative to the result where that is beyond 1.
double run_mutant(simt::MemoryChecker& checker);

inline double deviation(float got, double want) {
  return std::abs(static_cast<double>(got) - want) / std::max(1.0, std::abs(want));
}

/// Numbers in [-1, 1) that T holds exactly.
template <typename T>
std::vector<T> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values(count);
  for (T& v : values) v = kernels::round_to<T>(static_cast<float>(random()) * 0x1p-31f - 1.0f);
  return values;
}

template <typename T>
std::vector<float> to_floats(const std::vector<T>& values) {
  std::vector<float> floats;
  for (const T v : values) floats.push_back(kernels::to_float(v));
  return floats;
}

/// The convolution from the definition, before bias: input [h][w][ic] -> [h-1][w-1][oc]; weight_at(tap, c, o) is the
/// place of a weight.
template <typename WeightAt>
std::vector<double> convolve(const std::vector<float>& input, const std::vector<float>& weight, int h, int w, int ic,
                             int oc, WeightAt weight_at) {
  std::vector<double> output(static_cast<std::size_t>((h - 1) * (w - 1) * oc));
  for (int at = 0; at < (h - 1) * (w - 1); ++at) {
    for (int tap = 0; tap < 4; ++tap) {
      const int position = (at / (w - 1) + tap / 2) * w + at % (w - 1) + tap % 2;
      for (int c = 0; c < ic; ++c) {
        const double x = static_cast<double>(input[static_cast<std::size_t>(position * ic + c)]);
        for (int o = 0; o < oc; ++o) {
          output[static_cast<std::size_t>(at * oc + o)] +=
              x * static_cast<double>(weight[static_cast<std::size_t>(weight_at(tap, c, o))]);
        }
      }
    }
  }
  return output;
}

/// max(0, maxpool2x2(convolved)): [h][w][c] -> [h/2][w/2][c].
inline std::vector<double> pool(const std::vector<double>& convolved, int h, int w, int c) {
  std::vector<double> pooled;
  for (int y = 0; y < h / 2; ++y) {
    for (int x = 0; x < w / 2; ++x) {
      for (int o = 0; o < c; ++o) {
        double best = 0;
        for (int i = 0; i < 4; ++i)
          best = std::max(best, convolved[static_cast<std::size_t>(((2 * y + i / 2) * w + 2 * x + i % 2) * c + o)]);
        pooled.push_back(best);
      }
    }
  }
  return pooled;
}

}  // namespace lfm::test
