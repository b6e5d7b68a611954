#include <cmath>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

void adam(const AdamOptions& options, std::uint64_t step, std::span<const double> gradient, std::span<double> parameter,
          std::span<float> m, std::span<float> v) {
  const double beta1 = options.beta1, beta2 = options.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(step));
  for (std::size_t p = 0; p < parameter.size(); ++p) {
    const double g = gradient[p] + options.weight_decay * parameter[p];
    const double new_m = beta1 * m[p] + (1 - beta1) * g;
    const double new_v = beta2 * v[p] + (1 - beta2) * g * g;
    const double update =
        options.learning_rate * (new_m / correction1) / (std::sqrt(new_v / correction2) + options.eps);
    m[p] = static_cast<float>(new_m);
    v[p] = static_cast<float>(new_v);
    parameter[p] = static_cast<float>(parameter[p] - update);
  }
}

}  // namespace lfm::reference
