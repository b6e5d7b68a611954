#include <algorithm>
#include <cmath>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

double smooth_l1(double difference) {
  const double size = std::abs(difference);
  return size < 1 ? 0.5 * size * size : size - 0.5;
}

double smooth_l1_derivative(double difference) { return std::clamp(difference, -1.0, 1.0); }

double map_distance(const Maps& maps, std::span<const float> teacher, std::span<const float> scale, double weight,
                    Maps& grad_maps) {
  const double values = static_cast<double>(maps.c) * static_cast<double>(maps.area());  // of an image
  double sum = 0;
  for (std::size_t i = 0; i < maps.values.size(); ++i) {
    const double factor = scale[i / maps.area() % static_cast<std::size_t>(maps.c)];
    const double difference = (maps.values[i] - teacher[i]) * factor;
    sum += smooth_l1(difference) / values;
    grad_maps.values[i] += weight / values * factor * smooth_l1_derivative(difference);
  }
  return sum;
}

double logit_distance(std::span<const double> logits, std::span<const float> teacher, double scale, double weight,
                      std::span<double> grad_logits) {
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double difference = (logits[i] - teacher[i]) * scale;
    sum += smooth_l1(difference);
    grad_logits[i] += weight * scale * smooth_l1_derivative(difference);
  }
  return sum;
}

}  // namespace lfm::reference
