// The CPU engine's kernels, for every instruction set this machine runs, against plain loops in double.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "lfm/error.h"
#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/conv_block.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/weights.h"
#include "tests/cases/cpu_paths.h"
#include "tests/cases/deviation.h"
#include "tests/catch.h"

namespace lfm::cpu {
namespace {

class CpuKernels {
 protected:
  explicit CpuKernels(const cases::CpuPath& path) : path_(path) {}

  /// Normal noise that the path's precision holds exactly.
  std::vector<float> random(std::size_t count, unsigned seed) const {
    std::mt19937 generator(seed);
    std::normal_distribution<float> noise;
    std::vector<float> values(count);
    std::generate(values.begin(), values.end(), [&] { return noise(generator); });
    if (path_.is_bf16())
      std::ranges::transform(values, values.begin(), [](float value) { return from_bf16(to_bf16(value)); });
    return values;
  }
  const cases::CpuPath& path_;
  const PrecisionKernels& kernels_ = *path_.precision;
};

TEST_CASE_METHOD_FOR_EACH(CpuKernels, cases::cpu_paths(), "CpuKernels.ProductOfEveryRowCount") {
  for (const int depth : {64, 192}) {
    for (int rows = 1; rows <= 2 * path_.kernels->max_rows + 3; ++rows) {
      // A [depth/64][row][64], B [depth][panel]; where two values share a float, B is stored by pairs of rows.
      const std::vector<float> a = random(static_cast<std::size_t>(rows) * depth, 1),
                               b = random(static_cast<std::size_t>(depth) * kernels_.panel, 2);
      std::vector<float> packed = b;
      for (std::size_t i = 0; path_.is_bf16() && i < b.size(); ++i) {
        const std::size_t k = i / kernels_.panel, j = i % kernels_.panel;
        packed[(k / 2 * kernels_.panel + j) * 2 + k % 2] = b[i];
      }
      const Buffer stored_a = path_.stored(a), stored_b = path_.stored(packed);
      const std::size_t c_row = static_cast<std::size_t>(kernels_.panel) + 32;
      Buffer c(rows * c_row);
      std::fill_n(c.data(), c.size(), 7.0f);
      kernels_.multiply(
          {rows, depth, stored_a.data(), rows * kernels_.stored(kSlab), stored_b.data(), c.data(), c_row});
      for (int r = 0; r < rows; ++r) {
        for (int j = 0; j < kernels_.panel; ++j) {
          double sum = 0, magnitude = 0;
          for (int k = 0; k < depth; ++k) {
            const double term = double{a[(k / kSlab * rows + r) * kSlab + k % kSlab]} * b[k * kernels_.panel + j];
            sum += term;
            magnitude += std::abs(term);
          }
          const double bound = 0x1p-24 * (4 + 2 * std::sqrt(depth)) * magnitude;
          QUICK_REQUIRE(std::abs(c.data()[r * c_row + j] - sum) <= bound, rows << " rows, at " << r << ", " << j);
        }
        REQUIRE_MESSAGE(c.data()[r * c_row + kernels_.panel] == 7.0f, "wrote beside its panel");
      }
    }
  }
}

// For outputs of unit variance. The transforms of F(6x6, 2x2) magnify rounding by some hundred: 3e-5 is typical; a
// wrong coefficient or tile gives 1e-2 and more.
constexpr double kWinogradLimit = 1e-4;

// The factors of F(4x4, 2x2) rounded to BF16, and the output once more: 4e-2 is typical, a wrong coefficient gives
// 3e-1.
constexpr double kWinogradBf16Limit = 8e-2;

/// conv -> [max] -> bias -> ReLU of one pixel, in double.
double block_output(const ConvShape& s, const float* in, const FoldedBlock& block, int image, int y, int x, int oc) {
  const auto conv = [&](int cy, int cx) {
    double sum = 0;
    for (int tap = 0; tap < 4; ++tap) {
      const float* pixel =
          in + ((static_cast<std::size_t>(image) * s.in.h + cy + tap / 2) * s.in.w + cx + tap % 2) * s.ic;
      for (int c = 0; c < s.ic; ++c)
        sum += double{pixel[c]} * block.weight[(static_cast<std::size_t>(oc) * s.ic + c) * 4 + tap];
    }
    return sum;
  };
  double largest = s.pool ? conv(2 * y, 2 * x) : conv(y, x);
  for (int i = 1; s.pool && i < 4; ++i) largest = std::max(largest, conv(2 * y + i / 2, 2 * x + i % 2));
  return std::max(0.0, largest + block.bias[oc]);
}

TEST_CASE_METHOD_FOR_EACH(CpuKernels, cases::cpu_paths(), "CpuKernels.WinogradBlocksOfEveryRemainder") {
  ThreadPool pool(2);
  for (const bool pooled : {true, false}) {
    for (int size = 3; size < 16; ++size) {
      const MapSize in{size, 18 - size};
      const ConvShape shape{2,  in,  pooled ? MapSize{(in.h - 1) / 2, (in.w - 1) / 2} : MapSize{in.h - 1, in.w - 1},
                            64, 128, pooled};
      if (shape.out.area() == 0) continue;
      const std::vector<float> pixels =
          random(static_cast<std::size_t>(2) * in.area() * 64, static_cast<unsigned>(size));
      FoldedBlock block;
      std::mt19937 generator(9);
      std::normal_distribution<float> noise(0, 0.0625f);
      block.weight.resize(std::size_t{128} * 64 * 4);
      block.bias.resize(128);
      for (auto* values : {&block.weight, &block.bias})
        std::generate(values->begin(), values->end(), [&] { return noise(generator); });

      const ConvPlan plan = plan_conv(shape, kernels_, pool.threads());
      const Buffer in_pixels = path_.stored(pixels);
      Buffer scratch(plan.shared_floats + pool.threads() * plan.worker_floats),
          out(2 * shape.out.area() * kernels_.stored(128));
      conv_block(shape, plan, pack_conv(block, 64, 128, kernels_, pool), in_pixels.data(),
                 {out.data(), kernels_.stored(128), kernels_.stored(kGroup)}, scratch.data(), kernels_, pool);

      const std::vector<float> got = path_.values(out.data(), std::size_t{2} * shape.out.area() * 128);
      std::vector<float> expected;
      for (int image = 0; image < 2; ++image) {
        for (int p = 0; p < shape.out.area(); ++p) {
          for (int oc = 0; oc < 128; ++oc) {
            expected.push_back(static_cast<float>(
                block_output(shape, pixels.data(), block, image, p / shape.out.w, p % shape.out.w, oc)));
          }
        }
      }
      CHECK(cases::close_relative(fmt::format("{}x{}{}", in.h, in.w, pooled ? " pooled" : ""), got, expected,
                                  path_.is_bf16() ? kWinogradBf16Limit : kWinogradLimit));
    }
  }
}

// What tests elsewhere find with the emulation holds for the processor's instructions too.
TEST_CASE_METHOD_FOR_EACH(CpuKernels, cases::cpu_paths(), "CpuKernels.Bf16InstructionsGiveTheEmulationsBits") {
  if (path_.precision != &path_.kernels->bf16) SKIP("compares BF16 instructions alone");
  const PrecisionKernels& emulated = path_.kernels->bf16_emulated;
  const std::size_t c_row = static_cast<std::size_t>(kernels_.panel);
  constexpr int rows = 29, depth = 256;
  const Buffer a = path_.stored(random(std::size_t{rows} * depth, 4)), b = path_.stored(random(depth * c_row, 5));
  Buffer got(rows * c_row), expected(rows * c_row);
  const std::size_t slab = rows * kernels_.stored(kSlab);
  kernels_.multiply({rows, depth, a.data(), slab, b.data(), got.data(), c_row});
  emulated.multiply({rows, depth, a.data(), slab, b.data(), expected.data(), c_row});
  CHECK(std::equal(got.data(), got.data() + got.size(), expected.data()));

  const Buffer pixels = path_.stored(random(25 * 64, 6));
  const std::size_t pixel = kernels_.stored(kSlab);
  Buffer v[2] = {Buffer(25 * pixel), Buffer(25 * pixel)};
  kernels_.tile_input({pixels.data(), 5 * pixel, pixel, kSlab, v[0].data(), pixel, pixel});
  emulated.tile_input({pixels.data(), 5 * pixel, pixel, kSlab, v[1].data(), pixel, pixel});
  CHECK(path_.values(v[0].data(), 25 * kSlab) == path_.values(v[1].data(), 25 * kSlab));
}

TEST_CASE("Bf16.RoundsToNearestEvenAndKeepsNan") {
  CHECK(from_bf16(to_bf16(1.0f)) == 1.0f);
  CHECK(from_bf16(to_bf16(1.0f + 0x1p-8f)) == 1.0f);  // halfway: to the even one
  CHECK(from_bf16(to_bf16(1.0f + 3 * 0x1p-8f)) == 1.0f + 0x1p-6f);
  CHECK(from_bf16(to_bf16(-1.0f - 0x1.1p-8f)) == -1.0f - 0x1p-7f);
  CHECK(from_bf16(to_bf16(0x1.fffp127f)) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  const float pair = bf16_pair(2.0f, -3.0f);
  CHECK(stored_bf16(&pair, 0) == 2.0f);
  CHECK(stored_bf16(&pair, 1) == -3.0f);
}

TEST_CASE_METHOD_FOR_EACH(CpuKernels, cases::cpu_paths(), "CpuKernels.SelectionIsASort") {
  for (const auto& [positions, k] : {std::pair{16, 16}, {17, 5}, {300, 16}, {40, 1}, {64, 32}}) {
    std::mt19937 generator(static_cast<unsigned>(positions));
    Buffer maps(std::size_t{64} * positions), sorted(std::size_t{64} * k);
    std::generate_n(maps.data(), maps.size(), [&] { return static_cast<float>(generator() % 50) - 25; });  // many ties
    std::vector<float> features(std::size_t{64} * k);
    path_.kernels->select_largest({maps.data(), positions, k, sorted.data(), features.data()});
    for (int c = 0; c < 64; ++c) {
      std::vector<float> values;
      for (int p = 0; p < positions; ++p) values.push_back(maps.data()[p * 64 + c]);
      std::sort(values.begin(), values.end(), std::greater<>());
      values.resize(k);
      const auto* row = features.data() + c * k;
      CHECK_MESSAGE(std::vector<float>(row, row + k) == values, "channel " << c);
    }
  }
}

TEST_CASE("CpuDispatch.NamesTheChoices") {
  CHECK(&choose_kernels(nullptr) == supported_kernels().front());
  CHECK(&choose_kernels("") == supported_kernels().front());
  for (const Kernels* kernels : supported_kernels()) CHECK(&choose_kernels(kernels->name) == kernels);
  try {
    choose_kernels("mmx");
    FAIL("mmx was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    CHECK_MESSAGE(std::string(error.what()).find(supported_kernels().back()->name) != std::string::npos, error.what());
  }
}

TEST_CASE("ThreadPool.RunsEveryTaskOnce") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
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
      CHECK_MESSAGE(std::count(runs.begin(), runs.end(), 1) == count, threads << " threads, round " << round);
      CHECK_FALSE(shared_worker);
    }
  }
}

}  // namespace
}  // namespace lfm::cpu
