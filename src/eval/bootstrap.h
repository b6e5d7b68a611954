// How sure a metric is, given as few images as there are.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace lfm {

struct Interval {
  double low = 0;
  double high = 0;
};

/// A metric of scores and labels, as in src/eval/metrics.h.
using Metric = std::function<double(std::span<const float>, std::span<const std::uint8_t>)>;

/// The metric of each resample: drawn with replacement, reals among reals and fakes among fakes, so that none lacks a
/// label. Speaks of other images of these sources only, not of other generators. The same seed gives the same
/// resamples.
std::vector<double> bootstrap_values(std::span<const float> scores, std::span<const std::uint8_t> labels,
                                     const Metric& metric, std::uint64_t seed, int resamples = 1000);

/// The central 95 % of the values. NaN where there are none, or one is no number.
Interval percentile_interval(std::vector<double> values);

/// The 95 % percentile interval of `metric` over bootstrap_values. NaN where the metric is.
Interval bootstrap_interval(std::span<const float> scores, std::span<const std::uint8_t> labels, const Metric& metric,
                            std::uint64_t seed, int resamples = 1000);

}  // namespace lfm
