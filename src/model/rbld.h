// Rank-based linear dropout (RBLD): with which probability each rank is dropped, and what multiplies a kept value.
// Tables of k numbers, made on the host once and handed to every engine and kernel, so that all of them compare the
// same bits with rbld_uniform().
//   Paper, section 3.4; docs/METHOD.md, section 4.
#pragma once

#include <cstddef>
#include <vector>

namespace lfm {

enum class RbldScale {
  none,  ///< the paper: kept values are not rescaled
  mean,  ///< x 1/(1 - mean p), as the reference does
  rank,  ///< x 1/(1 - p_rank): keeps the expectation of each rank
};

/// [k]; linear from p_max for rank 0, the largest value, to p_min for rank k-1. The only rank of k = 1 gets p_max.
inline std::vector<float> rbld_drop_probabilities(float p_min, float p_max, int k) {
  std::vector<float> p(static_cast<std::size_t>(k), p_max);
  for (int rank = 1; rank < k; ++rank) {
    p[rank] = static_cast<float>(p_max + (static_cast<double>(p_min) - p_max) * rank / (k - 1));
  }
  return p;
}

/// [k]; the factor on a kept value of each rank.
inline std::vector<float> rbld_scales(float p_min, float p_max, int k, RbldScale scale) {
  const std::vector<float> p = rbld_drop_probabilities(p_min, p_max, k);
  double sum = 0;
  for (const float probability : p) sum += probability;
  std::vector<float> factors(p.size(), 1.0f);
  for (std::size_t rank = 0; rank < p.size(); ++rank) {
    if (scale == RbldScale::mean) factors[rank] = static_cast<float>(1 / (1 - sum / k));
    if (scale == RbldScale::rank) factors[rank] = static_cast<float>(1 / (1 - double{p[rank]}));
  }
  return factors;
}

}  // namespace lfm
