// How far an engine's values lie from expected ones, for assertions that also print the margin when they pass.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/cases/verdict.h"

namespace lfm::cases {

/// Passes if |got - expected| <= limit * max(1, |expected|) everywhere; prints the worst deviation either way.
inline Verdict close_relative(const std::string& what, const std::vector<float>& got,
                              const std::vector<float>& expected, double limit) {
  if (got.size() != expected.size()) {
    return {false, fmt::format("{}: {} values, expected {}", what, got.size(), expected.size())};
  }
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double deviation = std::abs(double{got[i]} - expected[i]) / std::max(1.0, std::abs(double{expected[i]}));
    if (!(deviation <= worst)) worst = deviation, where = i;  // also where the deviation is no number
    if (std::isnan(deviation)) break;
  }
  const std::string report = fmt::format("{}: worst deviation {:.2e} at {} (limit {:.0e})", what, worst, where, limit);
  if (worst <= limit) {
    fmt::print("  {}\n", report);
    return Verdict{true, report};
  }
  return {false, report + fmt::format(": got {:.9g}, expected {:.9g}", got[where], expected[where])};
}

/// Passes if |got - expected| <= limit * max|expected| everywhere.
inline Verdict close_to_largest(const std::string& what, const std::vector<float>& got,
                                const std::vector<float>& expected, double limit) {
  if (got.size() != expected.size()) {
    return {false, fmt::format("{}: {} values, expected {}", what, got.size(), expected.size())};
  }
  double worst = 0, largest = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double deviation = std::abs(double{got[i]} - expected[i]);
    if (!(deviation <= worst)) worst = deviation, where = i;
    if (std::isnan(deviation)) break;
    largest = std::max(largest, std::abs(double{expected[i]}));
  }
  const std::string report = fmt::format("{}: worst deviation {:.2e} of the largest entry at {} (limit {:.0e})", what,
                                         largest > 0 ? worst / largest : worst, where, limit);
  if (worst <= limit * largest) {
    fmt::print("  {}\n", report);
    return Verdict{true, report};
  }
  return {false, report + fmt::format(": got {:.9g}, expected {:.9g}", got[where], expected[where])};
}

}  // namespace lfm::cases
