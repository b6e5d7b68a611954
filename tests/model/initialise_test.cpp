#include "src/model/initialise.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "src/model/architecture.h"
#include "tests/catch.h"

namespace lfm {
namespace {

TEST_CASE("Initialise.FillsTheRangeOfEachLayerUniformly") {
  const Architecture architecture;
  const auto table = parameter_table(architecture);
  const auto values = initial_values(architecture, 1);
  for (int id = 0; id < kParameters; ++id) {
    const auto parameters = parameter(std::span(values), table, id);
    if (table[id].fan_in == 0 || parameters.size() < 64) continue;
    INFO(table[id].name);
    const double bound = 1 / std::sqrt(static_cast<double>(table[id].fan_in)),
                 n = static_cast<double>(parameters.size());
    double sum = 0, squares = 0;
    for (const float v : parameters) {
      QUICK_REQUIRE(std::abs(v) <= bound * (1 + 1e-6), v);
      sum += v;
      squares += double{v} * v;
    }
    CHECK_THAT(sum / n, WithinAbs(0, 5 * bound / std::sqrt(3 * n)));
    CHECK_THAT(squares / n, WithinAbs(bound * bound / 3, 5 * bound * bound * std::sqrt(4.0 / 45 / n)));
    CHECK(std::set(parameters.begin(), parameters.end()).size() > parameters.size() * 95 / 100);
  }
}

TEST_CASE("Initialise.BatchNormBeginsAsTheIdentityAndPaddingIsZero") {
  const Architecture architecture{Pooling::topk, 5};
  const auto table = parameter_table(architecture);
  auto values = initial_values(architecture, 2);
  for (int b = 0; b < kBlocks; ++b) {
    for (const auto& [id, expected] : {std::pair{norm_scale(b), 1.0f}, std::pair{norm_shift(b), 0.0f},
                                       std::pair{running_mean(b), 0.0f}, std::pair{running_var(b), 1.0f}}) {
      const auto parameters = parameter(std::span<const float>(values), table, id);
      CHECK_MESSAGE(std::ranges::count(parameters, expected) == std::ssize(parameters), table[id].name);
    }
  }
  REQUIRE(values.size() == table.total_floats);
  for (int id = 0; id < kParameters; ++id) std::ranges::fill(parameter(std::span(values), table, id), 0.0f);
  CHECK(std::ranges::all_of(values, [](float v) { return v == 0; }));
}

TEST_CASE("Initialise.SeedsGiveOtherValuesTheSameSeedTheSame") {
  const auto a = initial_values({}, 1), b = initial_values({}, 1), c = initial_values({}, 2);
  CHECK(a == b);
  CHECK(a[0] != c[0]);
  const auto table = parameter_table({});
  CHECK(a[table[conv_bias(0)].offset] != a[table[conv_weight(0)].offset]);  // layers draw from streams of their own
}

}  // namespace
}  // namespace lfm
