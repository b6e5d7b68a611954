// Curves over all thresholds, for pictures of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lfm {

/// What calling everything above some score "fake" amounts to.
struct OperatingPoint {
  double false_alarms = 0;  ///< share of the reals called fake
  double recall = 0;        ///< share of the fakes called fake
  double precision = 1;     ///< share of fakes among what is called fake
};

/// From calling nothing fake to calling everything so, a point a distinct score. Empty unless both labels occur.
std::vector<OperatingPoint> operating_points(std::span<const float> scores, std::span<const std::uint8_t> labels);

}  // namespace lfm
