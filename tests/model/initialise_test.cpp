#include "src/model/initialise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "src/model/architecture.h"

namespace lfm {
namespace {

TEST(Initialise, FillsTheRangeOfEachLayerUniformly) {
  const Architecture architecture;
  const auto table = parameter_table(architecture);
  const auto values = initial_values(architecture, 1);
  for (int id = 0; id < kParameters; ++id) {
    const auto parameters = parameter(std::span(values), table, id);
    if (table[id].fan_in == 0 || parameters.size() < 64) continue;
    SCOPED_TRACE(table[id].name);
    const double bound = 1 / std::sqrt(static_cast<double>(table[id].fan_in)), n = static_cast<double>(parameters.size());
    double sum = 0, squares = 0;
    for (const float v : parameters) {
      ASSERT_LE(std::abs(v), bound * (1 + 1e-6));
      sum += v;
      squares += double{v} * v;
    }
    EXPECT_NEAR(sum / n, 0, 5 * bound / std::sqrt(3 * n));
    EXPECT_NEAR(squares / n, bound * bound / 3, 5 * bound * bound * std::sqrt(4.0 / 45 / n));
    EXPECT_GT(std::set(parameters.begin(), parameters.end()).size(), parameters.size() * 95 / 100);
  }
}

TEST(Initialise, BatchNormBeginsAsTheIdentityAndPaddingIsZero) {
  const Architecture architecture{Pooling::topk, 5};
  const auto table = parameter_table(architecture);
  auto values = initial_values(architecture, 2);
  for (int b = 0; b < kBlocks; ++b) {
    for (const auto& [id, expected] : {std::pair{norm_scale(b), 1.0f}, std::pair{norm_shift(b), 0.0f},
                                       std::pair{running_mean(b), 0.0f}, std::pair{running_var(b), 1.0f}}) {
      const auto parameters = parameter(std::span<const float>(values), table, id);
      EXPECT_EQ(std::ranges::count(parameters, expected), std::ssize(parameters)) << table[id].name;
    }
  }
  ASSERT_EQ(values.size(), table.total_floats);
  for (int id = 0; id < kParameters; ++id) std::ranges::fill(parameter(std::span(values), table, id), 0.0f);
  EXPECT_TRUE(std::ranges::all_of(values, [](float v) { return v == 0; }));
}

TEST(Initialise, SeedsGiveOtherValuesTheSameSeedTheSame) {
  const auto a = initial_values({}, 1), b = initial_values({}, 1), c = initial_values({}, 2);
  EXPECT_EQ(a, b);
  EXPECT_NE(a[0], c[0]);
  const auto table = parameter_table({});
  EXPECT_NE(a[table[conv_bias(0)].offset], a[table[conv_weight(0)].offset]);  // layers draw from streams of their own
}

}  // namespace
}  // namespace lfm
