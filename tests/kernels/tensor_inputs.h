// What the tests of the tensor-core kernels share: inputs that a format holds exactly, and bounds for sums that are cut
// off.
#pragma once

#include "kernels/element.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {

template <typename T>
const char* format_name() {
  return std::is_same_v<T, kernels::Half> ? "fp16" : std::is_same_v<T, kernels::Bfloat16> ? "bf16" : "tf32";
}

/// Values that T holds exactly. `exact`: small integers, one in so many of them not 0, so that all sums and results are
/// exact too.
template <typename T>
std::vector<float> values_of(std::size_t count, unsigned seed, bool exact, unsigned one_in) {
  std::vector<float> v = uniform(count, seed);
  std::mt19937 random(seed);
  for (float& x : v) {
    x = exact ? (random() % one_in == 0 ? static_cast<float>(static_cast<int>(random() % 5) - 2) : 0.0f)
              : kernels::to_float(kernels::round_to<T>(x));
  }
  return v;
}

template <typename T>
std::vector<T> rounded(const std::vector<float>& values) {
  std::vector<T> out;
  for (const float v : values) out.push_back(kernels::round_to<T>(v));
  return out;
}

/// The value that a kernel of T leaves where it stores `exact` as kernels::Stored<T>; and arrays of those as floats.
template <typename S>
float stored(float exact) {
  if constexpr (std::is_same_v<S, float>) {
    return exact;
  } else {
    return kernels::to_float(kernels::round_to<S>(exact));
  }
}
template <typename S>
std::vector<S> stored_values(const std::vector<float>& values) {
  if constexpr (std::is_same_v<S, float>) {
    return values;
  } else {
    return rounded<S>(values);
  }
}
template <typename S>
std::vector<float> floats_of(const std::vector<S>& values) {
  if constexpr (std::is_same_v<S, float>) {
    return values;
  } else {
    std::vector<float> out;
    for (const S& v : values) out.push_back(kernels::to_float(v));
    return out;
  }
}

/// What sums in FP32 that are cut off may deviate by: one unit in the last place where rounding gives half of one.
inline double sum_bound(double depth, double magnitude) { return cases::error_bound(0x1p-23, depth, magnitude); }

/// A value and how far the kernel's may lie from it.
struct Bounded {
  double value = 0;
  double limit = 0;
};

/// The same where the value is rounded to S when it is stored.
template <typename S>
Bounded stored_bound(const Bounded& exact) {
  if constexpr (std::is_same_v<S, float>) {
    return exact;
  } else {
    return {exact.value, exact.limit + kernels::kUnitRoundoff<S> * (std::abs(exact.value) + exact.limit)};
  }
}

inline void expect_within(const std::vector<float>& got, const std::vector<Bounded>& want, const std::string& what) {
  REQUIRE_MESSAGE(got.size() == want.size(), what);
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i].value);
    if (error == 0) continue;
    REQUIRE_MESSAGE(error <= want[i].limit, what << ": at " << i << ", got " << got[i] << ", want " << want[i].value);
    worst = std::max(worst, error / want[i].limit);
  }
  fmt::print("    {}: {:.2f} of the limit\n", what, worst);
}

}  // namespace lfm::test
