#include "src/eval/tsne.h"

#include <cmath>
#include <limits>
#include <random>

#include "tests/catch.h"

namespace lfm {
namespace {

constexpr std::size_t kDimensions = 20;

/// `groups` blobs of `each` points, one after the other, `distance` apart in units of their spread.
std::vector<float> blobs(std::size_t groups, std::size_t each, float distance, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> points;
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t i = 0; i < each; ++i) {
      for (std::size_t d = 0; d < kDimensions; ++d) points.push_back(normal(random) + (d == g ? distance : 0.0f));
    }
  }
  return points;
}

/// Share of points whose nearest neighbour is of their own blob.
double purity(const std::vector<std::array<double, 2>>& layout, std::size_t each) {
  std::size_t pure = 0;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    std::size_t neighbour = 0;
    for (std::size_t j = 0; j < layout.size(); ++j) {
      const double distance = std::hypot(layout[i][0] - layout[j][0], layout[i][1] - layout[j][1]);
      if (j == i || distance >= nearest) continue;
      nearest = distance;
      neighbour = j;
    }
    pure += neighbour / each == i / each;
  }
  return static_cast<double>(pure) / static_cast<double>(layout.size());
}

TEST_CASE("Tsne.KeepsSeparableBlobsApartAndTogether") {
  const std::size_t each = 50;
  const auto layout = tsne(blobs(4, each, 12, 1), kDimensions, {.iterations = 400});
  CHECK(purity(layout, each) == 1.0);
  // Every point lies nearer to its own blob's centre than to any other's.
  std::array<std::array<double, 2>, 4> centre{};
  for (std::size_t i = 0; i < layout.size(); ++i) {
    REQUIRE((std::isfinite(layout[i][0]) && std::isfinite(layout[i][1])));
    for (std::size_t d = 0; d < 2; ++d) centre[i / each][d] += layout[i][d] / each;
  }
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const auto from = [&](std::size_t g) {
      return std::hypot(layout[i][0] - centre[g][0], layout[i][1] - centre[g][1]);
    };
    for (std::size_t g = 0; g < 4; ++g) {
      CHECK_MESSAGE((g == i / each || from(g) > from(i / each)), i);
    }
  }
}

TEST_CASE("Tsne.FindsNoBlobsWhereThereAreNone") {
  CHECK(purity(tsne(blobs(4, 40, 0, 2), kDimensions, {.iterations = 200}), 40) < 0.6);
}

TEST_CASE("Tsne.IsRepeatable") {
  const auto points = blobs(2, 20, 5, 3);
  CHECK(tsne(points, kDimensions, {.iterations = 100}) == tsne(points, kDimensions, {.iterations = 100}));
}

TEST_CASE("Tsne.TakesFewAndEqualPoints") {
  CHECK(tsne({}, kDimensions).size() == 0u);
  CHECK(tsne(blobs(1, 2, 0, 1), kDimensions).size() == 2u);
  for (const auto& at : tsne(std::vector<float>(30 * kDimensions, 1.0f), kDimensions, {.iterations = 50})) {
    CHECK((std::isfinite(at[0]) && std::isfinite(at[1])));
  }
}

TEST_CASE("PrincipalComponents.FindTheDirectionsOfTheLargestVariance") {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  std::vector<float> points;
  constexpr std::size_t n = 400;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t d = 0; d < kDimensions; ++d)
      points.push_back(normal(random) * (d == 7 ? 9.0f : d == 3 ? 4.0f : 1.0f) + 5);
  }
  const auto projected = principal_components(points, kDimensions, 2, 1);
  double along_7 = 0, along_3 = 0, length_7 = 0, length_3 = 0, first = 0, second = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x7 = points[i * kDimensions + 7] - 5.0, x3 = points[i * kDimensions + 3] - 5.0;
    along_7 += projected[2 * i] * x7;
    along_3 += projected[2 * i + 1] * x3;
    first += projected[2 * i] * projected[2 * i];
    second += projected[2 * i + 1] * projected[2 * i + 1];
    length_7 += x7 * x7;
    length_3 += x3 * x3;
  }
  CHECK(std::abs(along_7) / std::sqrt(first * length_7) > 0.97);
  CHECK(std::abs(along_3) / std::sqrt(second * length_3) > 0.97);
}

}  // namespace
}  // namespace lfm
