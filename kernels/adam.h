// Adam on every parameter in one launch: they lie in one array, and so do their gradients and moments.
#pragma once

#include <cstddef>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// As torch.optim.Adam; the corrections are 1 - beta^step.
struct AdamStep {
  float learning_rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float eps = 0;
  float weight_decay = 0;  ///< L2, added to the gradient
  float correction1 = 1;
  float correction2 = 1;
};

/// How many partial sums adam() leaves.
int adam_norm_partials(std::size_t count);

/// Updates parameters, m and v [count] from the gradients. norm_partials: the squares of the gradients (without decay)
/// in partial sums, whose total the caller takes in order. Arrays aligned to 16 bytes, count a multiple of 4.
void adam(float* parameters, float* m, float* v, double* norm_partials, const float* gradients, const AdamStep& step,
          std::size_t count, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
