#include "src/eval/tsne.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace lfm {
namespace {

/// Rows of equal length.
struct Matrix {
  std::size_t rows, columns;
  std::vector<double> values;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
  double* row(std::size_t i) { return values.data() + i * columns; }
  const double* row(std::size_t i) const { return values.data() + i * columns; }
};

double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// Gram-Schmidt, twice for accuracy. A row that vanishes, since there are fewer dimensions than asked for, stays zero.
void orthonormalise(Matrix& directions) {
  for (std::size_t i = 0; i < directions.rows; ++i) {
    double* row = directions.row(i);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t j = 0; j < i; ++j) {
        const double overlap = dot(row, directions.row(j), directions.columns);
        for (std::size_t d = 0; d < directions.columns; ++d) row[d] -= overlap * directions.row(j)[d];
      }
    }
    const double length = std::sqrt(dot(row, row, directions.columns));
    for (std::size_t d = 0; d < directions.columns; ++d) row[d] = length > 1e-12 ? row[d] / length : 0;
  }
}

/// Conditional probabilities of one point's neighbours, of the wanted perplexity: the width of the Gaussian by
/// bisection.
void neighbour_probabilities(const double* squared_distances, std::size_t n, std::size_t self, double perplexity,
                             double* probabilities) {
  double nearest = 1e300;
  for (std::size_t j = 0; j < n; ++j) {
    if (j != self) nearest = std::min(nearest, squared_distances[j]);
  }
  double beta = 1, low = 0, high = 0;
  for (int step = 0; step < 64; ++step) {
    double sum = 0, weighted = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const double excess = squared_distances[j] - nearest;  // no underflow of all
      probabilities[j] = j == self ? 0 : std::exp(-beta * excess);
      sum += probabilities[j];
      weighted += probabilities[j] * excess;
    }
    for (std::size_t j = 0; j < n; ++j) probabilities[j] /= sum;
    const double entropy = std::log(sum) + beta * weighted / sum;
    if (std::abs(entropy - std::log(perplexity)) < 1e-5) return;
    if (entropy > std::log(perplexity)) {
      low = beta;
      beta = high > 0 ? (beta + high) / 2 : beta * 2;
    } else {
      high = beta;
      beta = (beta + low) / 2;
    }
  }
}

/// Symmetric joint probabilities [n][n].
Matrix joint_probabilities(const std::vector<double>& points, std::size_t n, std::size_t dimensions,
                           double perplexity) {
  Matrix conditional(n, n);
  std::vector<double> squared(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      squared[j] = 0;
      for (std::size_t d = 0; d < dimensions; ++d) {
        const double difference = points[i * dimensions + d] - points[j * dimensions + d];
        squared[j] += difference * difference;
      }
    }
    neighbour_probabilities(squared.data(), n, i, perplexity, conditional.row(i));
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double joint = (conditional.row(i)[j] + conditional.row(j)[i]) / (2.0 * static_cast<double>(n));
      conditional.row(i)[j] = conditional.row(j)[i] = std::max(joint, 1e-12);
    }
  }
  return conditional;
}

using Layout = std::vector<std::array<double, 2>>;

/// Of the divergence between the joint probabilities, times `exaggeration`, and the layout's, which are Student's t.
void gradient_of(const Layout& layout, const Matrix& joint, double exaggeration, Matrix& similarity, Layout& gradient) {
  const std::size_t n = layout.size();
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double x = layout[i][0] - layout[j][0], y = layout[i][1] - layout[j][1];
      const double s = 1 / (1 + x * x + y * y);
      similarity.row(i)[j] = s;
      sum += 2 * s;
    }
  }
  std::ranges::fill(gradient, std::array{0.0, 0.0});
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double s = similarity.row(i)[j], pull = 4 * (exaggeration * joint.row(i)[j] - s / sum) * s;
      for (std::size_t d = 0; d < 2; ++d) {
        const double force = pull * (layout[i][d] - layout[j][d]);
        gradient[i][d] += force;
        gradient[j][d] -= force;
      }
    }
  }
}

}  // namespace

std::vector<double> principal_components(std::span<const float> points, std::size_t dimensions, std::size_t components,
                                         std::uint64_t seed) {
  const std::size_t n = points.size() / dimensions;
  Matrix centred(n, dimensions), directions(std::min(components, dimensions), dimensions);
  for (std::size_t d = 0; d < dimensions; ++d) {
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += points[i * dimensions + d] / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) centred.row(i)[d] = points[i * dimensions + d] - mean;
  }
  std::mt19937_64 random(seed);
  for (double& value : directions.values) value = static_cast<double>(random() >> 11) * 0x1p-53 - 0.5;
  orthonormalise(directions);
  constexpr int rounds = 30;
  for (int round = 0; round < rounds; ++round) {
    Matrix next(directions.rows, dimensions);
    for (std::size_t i = 0; i < n; ++i) {
      const double* point = centred.row(i);
      for (std::size_t c = 0; c < directions.rows; ++c) {
        const double along = dot(point, directions.row(c), dimensions);
        for (std::size_t d = 0; d < dimensions; ++d) next.row(c)[d] += along * point[d];
      }
    }
    orthonormalise(next);
    directions = std::move(next);
  }
  std::vector<double> projected(n * components);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < directions.rows; ++c)
      projected[i * components + c] = dot(centred.row(i), directions.row(c), dimensions);
  }
  return projected;
}

std::vector<std::array<double, 2>> tsne(std::span<const float> points, std::size_t dimensions,
                                        const TsneOptions& options) {
  const std::size_t n = points.size() / dimensions;
  const auto components =
      std::min(static_cast<std::size_t>(std::max(2, options.components)), std::max<std::size_t>(2, dimensions));
  const std::vector<double> projected = principal_components(points, dimensions, components, options.seed);
  Layout layout(n);
  double variance = 0;
  for (std::size_t i = 0; i < n; ++i)
    variance += projected[i * components] * projected[i * components] / static_cast<double>(n);
  const double scale = variance > 0 ? 1e-4 / std::sqrt(variance) : 0;
  for (std::size_t i = 0; i < n; ++i)
    layout[i] = {scale * projected[i * components], scale * projected[i * components + 1]};
  if (n < 4) return layout;

  const double perplexity = std::min(options.perplexity, static_cast<double>(n - 1) / 3);
  const Matrix joint = joint_probabilities(projected, n, components, perplexity);
  const int exaggerated = std::min(250, options.iterations / 2);
  constexpr double exaggeration = 12;
  const double rate = std::max(static_cast<double>(n) / exaggeration / 4, 50.0);
  Matrix similarity(n, n);
  Layout gradient(n), velocity(n, {0, 0}), gain(n, {1, 1});
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    const bool early = iteration < exaggerated;
    gradient_of(layout, joint, early ? exaggeration : 1, similarity, gradient);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t d = 0; d < 2; ++d) {
        const bool same_way = (gradient[i][d] > 0) == (velocity[i][d] > 0);
        gain[i][d] = std::max(0.01, same_way ? gain[i][d] * 0.8 : gain[i][d] + 0.2);
        velocity[i][d] = (early ? 0.5 : 0.8) * velocity[i][d] - rate * gain[i][d] * gradient[i][d];
        layout[i][d] += velocity[i][d];
      }
    }
  }
  return layout;
}

}  // namespace lfm
