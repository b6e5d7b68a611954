// The computed bound for sums: a result is right if it lies as near the double-precision one as its precision and the
// length of its sums allow. The reference also runs on the magnitudes of all inputs, which gives m, the sum of |terms|;
// then
//     |got - reference| <= u * (4 + 2 sqrt(depth)) * m
// with u the unit roundoff of the precision and depth the number of terms: rounding errors of either sign grow like the
// square root of their number, and 4 covers what comes before and after the sum.
#pragma once

#include <fmt/core.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "tests/cases/verdict.h"

namespace lfm::cases {

inline constexpr double kRoundoffFp32 = 0x1p-24;
inline constexpr double kRoundoffTf32 = 0x1p-11;
inline constexpr double kRoundoffFp16 = 0x1p-11;
inline constexpr double kRoundoffBf16 = 0x1p-8;

inline double error_bound(double roundoff, double depth, double magnitude) {
  return roundoff * (4 + 2 * std::sqrt(depth)) * magnitude;
}

/// Passes if every value keeps its bound, and prints the largest share of it that was used; what and seed let a failure
/// be repeated.
template <typename T>
Verdict within_bound(const std::string& what, std::span<const T> got, std::span<const double> reference,
                     std::span<const double> magnitude, double roundoff, double depth, unsigned seed) {
  if (got.size() != reference.size() || got.size() != magnitude.size()) {
    return {false, fmt::format("{}: {} values, expected {}", what, got.size(), reference.size())};
  }
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double deviation = std::abs(static_cast<double>(got[i]) - reference[i]);
    const double bound = error_bound(roundoff, depth, magnitude[i]);
    const double share = deviation == 0 ? 0 : deviation / bound;
    if (!(share <= worst)) worst = share, where = i;  // also where the result is no number
    if (std::isnan(share)) break;
  }
  if (worst <= 1) {
    fmt::print("  {}: {:.2f} of the limit\n", what, worst);
    return Verdict{true, ""};
  }
  return {false, fmt::format("{} [{}]: got {:.9g}, expected {:.9g}, {:.3g} times the limit (seed {})", what, where,
                             static_cast<double>(got[where]), reference[where], worst, seed)};
}

}  // namespace lfm::cases
