// The CPU engine's kernels, for every instruction set this machine runs, against plain loops in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "lfm/error.h"
#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/conv_block.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/weights.h"
#include "tests/cases/deviation.h"

namespace lfm::cpu {
namespace {

class CpuKernels : public ::testing::TestWithParam<const Kernels*> {
 protected:
  static Buffer random(std::size_t floats, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> noise;
    Buffer buffer(floats);
    std::generate_n(buffer.data(), floats, [&] { return noise(generator); });
    return buffer;
  }
  const Kernels& kernels_ = *GetParam();
};

TEST_P(CpuKernels, ProductOfEveryRowCount) {
  for (const int depth : {64, 192}) {
    for (int rows = 1; rows <= 2 * kernels_.max_rows + 3; ++rows) {
      const Buffer a = random(static_cast<std::size_t>(rows) * depth, 1), b = random(static_cast<std::size_t>(depth) * kernels_.panel, 2);
      const std::size_t c_row = static_cast<std::size_t>(kernels_.panel) + 32;
      Buffer c(rows * c_row);
      std::fill_n(c.data(), c.size(), 7.0f);
      kernels_.multiply({rows, depth, a.data(), static_cast<std::size_t>(rows) * kSlab, b.data(), c.data(), c_row});
      for (int r = 0; r < rows; ++r) {
        for (int j = 0; j < kernels_.panel; ++j) {
          double sum = 0, magnitude = 0;
          for (int k = 0; k < depth; ++k) {
            const double term = double{a.data()[(k / kSlab * rows + r) * kSlab + k % kSlab]} * b.data()[k * kernels_.panel + j];
            sum += term;
            magnitude += std::abs(term);
          }
          ASSERT_NEAR(c.data()[r * c_row + j], sum, 0x1p-24 * (4 + 2 * std::sqrt(depth)) * magnitude) << rows << " rows, at " << r << ", " << j;
        }
        ASSERT_EQ(c.data()[r * c_row + kernels_.panel], 7.0f) << "wrote beside its panel";
      }
    }
  }
}

// For outputs of unit variance. The transforms of F(6x6, 2x2) magnify rounding by some hundred: 3e-5 is typical; a wrong
// coefficient or tile gives 1e-2 and more.
constexpr double kWinogradLimit = 1e-4;

/// conv -> [max] -> bias -> ReLU of one pixel, in double.
double block_output(const ConvShape& s, const float* in, const FoldedBlock& block, int image, int y, int x, int oc) {
  const auto conv = [&](int cy, int cx) {
    double sum = 0;
    for (int tap = 0; tap < 4; ++tap) {
      const float* pixel = in + ((static_cast<std::size_t>(image) * s.in.h + cy + tap / 2) * s.in.w + cx + tap % 2) * s.ic;
      for (int c = 0; c < s.ic; ++c) sum += double{pixel[c]} * block.weight[(static_cast<std::size_t>(oc) * s.ic + c) * 4 + tap];
    }
    return sum;
  };
  double largest = s.pool ? conv(2 * y, 2 * x) : conv(y, x);
  for (int i = 1; s.pool && i < 4; ++i) largest = std::max(largest, conv(2 * y + i / 2, 2 * x + i % 2));
  return std::max(0.0, largest + block.bias[oc]);
}

TEST_P(CpuKernels, WinogradBlocksOfEveryRemainder) {
  ThreadPool pool(2);
  for (const bool pooled : {true, false}) {
    for (int size = 3; size < 16; ++size) {
      const MapSize in{size, 18 - size};
      const ConvShape shape{2, in, pooled ? MapSize{(in.h - 1) / 2, (in.w - 1) / 2} : MapSize{in.h - 1, in.w - 1}, 64, 128, pooled};
      if (shape.out.area() == 0) continue;
      const Buffer pixels = random(static_cast<std::size_t>(2) * in.area() * 64, static_cast<unsigned>(size));
      FoldedBlock block;
      std::mt19937 generator(9);
      std::normal_distribution<float> noise(0, 0.0625f);
      block.weight.resize(std::size_t{128} * 64 * 4);
      block.bias.resize(128);
      for (auto* values : {&block.weight, &block.bias}) std::generate(values->begin(), values->end(), [&] { return noise(generator); });

      const ConvPlan plan = plan_conv(shape, pool.threads());
      Buffer scratch(plan.shared_floats + pool.threads() * plan.worker_floats), out(static_cast<std::size_t>(2) * shape.out.area() * 128);
      conv_block(shape, plan, pack_conv(block, 64, 128, kernels_, pool), pixels.data(), {out.data(), 128, 64}, scratch.data(), kernels_, pool);

      std::vector<float> got(out.data(), out.data() + out.size()), expected;
      for (int image = 0; image < 2; ++image) {
        for (int p = 0; p < shape.out.area(); ++p) {
          for (int oc = 0; oc < 128; ++oc) {
            expected.push_back(static_cast<float>(block_output(shape, pixels.data(), block, image, p / shape.out.w, p % shape.out.w, oc)));
          }
        }
      }
      EXPECT_TRUE(cases::close_relative(fmt::format("{}x{}{}", in.h, in.w, pooled ? " pooled" : ""), got, expected, kWinogradLimit));
    }
  }
}

TEST_P(CpuKernels, SelectionIsASort) {
  for (const auto& [positions, k] : {std::pair{16, 16}, {17, 5}, {300, 16}, {40, 1}, {64, 32}}) {
    std::mt19937 generator(static_cast<unsigned>(positions));
    Buffer maps(std::size_t{64} * positions), sorted(std::size_t{64} * k);
    std::generate_n(maps.data(), maps.size(), [&] { return static_cast<float>(generator() % 50) - 25; });  // many ties
    std::vector<float> features(std::size_t{64} * k);
    kernels_.select_largest({maps.data(), positions, k, sorted.data(), features.data()});
    for (int c = 0; c < 64; ++c) {
      std::vector<float> values;
      for (int p = 0; p < positions; ++p) values.push_back(maps.data()[p * 64 + c]);
      std::sort(values.begin(), values.end(), std::greater<>());
      values.resize(k);
      const auto* row = features.data() + c * k;
      EXPECT_EQ(std::vector<float>(row, row + k), values) << "channel " << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, CpuKernels, ::testing::ValuesIn(supported_kernels().begin(), supported_kernels().end()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

TEST(CpuDispatch, NamesTheChoices) {
  EXPECT_EQ(&choose_kernels(nullptr), supported_kernels().front());
  EXPECT_EQ(&choose_kernels(""), supported_kernels().front());
  for (const Kernels* kernels : supported_kernels()) EXPECT_EQ(&choose_kernels(kernels->name), kernels);
  try {
    choose_kernels("mmx");
    FAIL() << "mmx was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_NE(std::string(error.what()).find(supported_kernels().back()->name), std::string::npos) << error.what();
  }
}

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::vector<std::atomic<int>> busy(threads);
    for (int round = 0; round < 500; ++round) {
      const int count = round % 37;
      std::vector<int> runs(count);
      std::atomic<bool> shared_worker = false;
      pool.run(count, [&](int task, int worker) {
        if (busy[worker].fetch_add(1) != 0) shared_worker = true;
        ++runs[task];
        busy[worker].fetch_sub(1);
      });
      EXPECT_EQ(std::count(runs.begin(), runs.end(), 1), count) << threads << " threads, round " << round;
      EXPECT_FALSE(shared_worker);
    }
  }
}

}  // namespace
}  // namespace lfm::cpu
