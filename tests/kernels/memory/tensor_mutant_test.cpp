// A copy of conv2x2_tensor, right or broken in one way (CMakeLists.txt says how), under the memory checker and beside the definition: what must
// catch it does. LFM_CAUGHT_BY: nothing, race, conflict or result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/conv2x2_tensor.h"
#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {
namespace {

using kernels::Half;
using simt::Access, simt::Space;

enum class CaughtBy { nothing, race, conflict, result };

constexpr int kHeight = 6, kWidth = 9, kIn = 64, kOut = 128;  // eight stages of weights: the ring comes round

std::vector<Half> random_halves(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Half> values(count);
  for (Half& v : values) v = kernels::round_to<Half>(static_cast<float>(random()) * 0x1p-31f - 1.0f);
  return values;
}

// weight [oc][ic][2][2]; the pooled output at (y, x).
float defined(const std::vector<Half>& input, const std::vector<float>& weight, int y, int x, int o) {
  double best = 0;  // ReLU; the bias is zero
  for (int window = 0; window < 4; ++window) {
    double sum = 0;
    for (int tap = 0; tap < 4; ++tap) {
      const int row = 2 * y + window / 2 + tap / 2, column = 2 * x + window % 2 + tap % 2;
      for (int c = 0; c < kIn; ++c) {
        sum += static_cast<double>(kernels::to_float(input[static_cast<std::size_t>((row * kWidth + column) * kIn + c)])) *
               static_cast<double>(weight[static_cast<std::size_t>((o * kIn + c) * 4 + tap)]);
      }
    }
    best = std::max(best, sum);
  }
  return static_cast<float>(best);
}

TEST(TensorMutant, IsCaught) {
  constexpr int rows = (kHeight - 1) / 2, columns = (kWidth - 1) / 2;
  const std::vector<Half> values = random_halves(kHeight * kWidth * kIn, 1);
  std::vector<float> weights;
  for (const Half w : random_halves(4 * kIn * kOut, 2)) weights.push_back(kernels::to_float(w));
  const std::vector<Half> packed = pack_tensor_conv<Half>(weights, kOut, kIn);

  simt::MemoryChecker checker;
  const WatchedArray<Half> input(checker, "input", values.size(), 0), weight(checker, "weight", packed.size(), 0);
  const WatchedArray<float> bias(checker, "bias", kOut, 0);
  const WatchedArray<Half> output(checker, "output", rows * columns * kOut);
  std::copy(values.begin(), values.end(), input.data());
  std::copy(packed.begin(), packed.end(), weight.data());
  kernels::conv2x2_tensor<Half>({output, input, weight, bias, 1, kHeight, kWidth, kIn, kOut}, nullptr);

  double worst = 0;
  for (int i = 0; i < rows * columns * kOut; ++i) {
    const float want = defined(values, weights, i / kOut / columns, i / kOut % columns, i % kOut);
    worst = std::max(worst, std::abs(static_cast<double>(kernels::to_float(output.data()[i]) - want)) / std::max(1.0, static_cast<double>(want)));
  }
  bool raced = false;
  for (const simt::Finding& finding : checker.findings()) raced |= finding.kind == simt::FindingKind::race;
  const simt::KernelCounters& counted = checker.counters().at("conv2x2_tensor");
  const auto conflicts = counted(Space::shared, Access::load).beyond_least() + counted(Space::shared, Access::store).beyond_least();

  constexpr CaughtBy expected = CaughtBy::LFM_CAUGHT_BY;
  if (expected == CaughtBy::race) {
    EXPECT_TRUE(raced);
    return;
  }
  for (const simt::Finding& finding : checker.findings()) ADD_FAILURE() << finding.message;
  if (expected == CaughtBy::result) {
    EXPECT_GT(worst, 0.1);
    return;
  }
  EXPECT_LT(worst, 0x1p-10);
  if (expected == CaughtBy::conflict) {
    EXPECT_GT(conflicts, 0);
  } else {
    EXPECT_EQ(conflicts, 0);
  }
}

}  // namespace
}  // namespace lfm::test
