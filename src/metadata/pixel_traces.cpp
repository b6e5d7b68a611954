#include "src/metadata/pixel_traces.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <numbers>
#include <vector>

#include "src/image/view.h"

namespace lfm {
namespace {

constexpr int kSide = 1024;
constexpr int kLeast = 128;

/// Luma of the middle of a picture.
struct Plane {
  int width = 0, height = 0;
  int x = 0, y = 0;  ///< of its first pixel in the picture
  std::vector<int> levels;
  int at(int column, int row) const {
    return levels[static_cast<std::size_t>(row) * static_cast<std::size_t>(width) + static_cast<std::size_t>(column)];
  }
};

Plane middle_of(const Image& image) {
  Plane plane;
  plane.width = std::min(image.width, kSide);
  plane.height = std::min(image.height, kSide);
  plane.x = (image.width - plane.width) / 2;
  plane.y = (image.height - plane.height) / 2;
  plane.levels.reserve(static_cast<std::size_t>(plane.width) * static_cast<std::size_t>(plane.height));
  for (int row = 0; row < plane.height; ++row) {
    const std::uint8_t* rgb =
        &image.rgb[3 * (static_cast<std::size_t>(plane.y + row) * static_cast<std::size_t>(image.width) +
                        static_cast<std::size_t>(plane.x))];
    for (int column = 0; column < plane.width; ++column, rgb += 3)
      plane.levels.push_back(299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]);
  }
  return plane;
}

/// For each column (or row) the mean size of the second difference across it; edges, which tell nothing of blocks and
/// interpolation, count little: differences are cut off.
std::vector<double> second_differences(const Plane& plane, bool across) {
  constexpr int most = 12'000;  // of 255 000
  const int length = across ? plane.width : plane.height, other = across ? plane.height : plane.width;
  std::vector<double> means(static_cast<std::size_t>(length));
  for (int i = 1; i + 1 < length; ++i) {
    double sum = 0;
    for (int j = 0; j < other; ++j) {
      const auto level = [&](int at) { return across ? plane.at(at, j) : plane.at(j, at); };
      sum += std::min(most, std::abs(2 * level(i) - level(i - 1) - level(i + 1)));
    }
    means[static_cast<std::size_t>(i)] = sum / other;
  }
  means.front() = means[1];
  means.back() = means[means.size() - 2];
  return means;
}

/// The phase, of 8, at which steps between neighbours are larger than beside them; -1 for none.
int grid_phase(const Plane& plane, bool across) {
  constexpr int most = 20'000;
  constexpr double stands_out = 6;
  const int length = across ? plane.width : plane.height, other = across ? plane.height : plane.width;
  std::vector<double> steps(static_cast<std::size_t>(length));
  for (int i = 1; i < length; ++i) {
    for (int j = 0; j < other; ++j) {
      const auto level = [&](int at) { return across ? plane.at(at, j) : plane.at(j, at); };
      steps[static_cast<std::size_t>(i)] += std::min(most, std::abs(level(i) - level(i - 1)));
    }
  }
  // How much a step exceeds the mean of those beside it, as a share; of each phase the mean and how it scatters.
  std::array<double, 8> sum{}, squares{}, count{};
  for (int i = 3; i + 2 < length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double beside = (steps[at - 2] + steps[at - 1] + steps[at + 1] + steps[at + 2]) / 4;
    if (beside <= 0) continue;
    const double excess = std::clamp(steps[at] / beside - 1, -1.0, 1.0);
    const auto phase = static_cast<std::size_t>((i + (across ? plane.x : plane.y)) % 8);
    sum[phase] += excess;
    squares[phase] += excess * excess;
    ++count[phase];
  }
  int best = -1;
  double strongest = stands_out;
  for (std::size_t phase = 0; phase < 8; ++phase) {
    if (count[phase] < 8) return -1;
    const double mean = sum[phase] / count[phase];
    const double deviation = std::sqrt(std::max(squares[phase] / count[phase] - mean * mean, 1e-8));
    const double score = mean / (deviation / std::sqrt(count[phase]));
    if (mean > 0.02 && score > strongest) {
      strongest = score;
      best = static_cast<int>(phase);
    }
  }
  return best;
}

/// The frequency whose power stands out of its surroundings most; nothing where none does enough.
std::optional<double> frequency_of(std::vector<double> values) {
  constexpr double least_frequency = 0.03, around_eighths = 0.012, stands_out = 9;
  const std::size_t count = values.size();
  // What is left once the slow course is taken away, as shares of it.
  std::vector<double> rest(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i < 8 ? 0 : i - 8, to = std::min(count, i + 9);
    double mean = 0;
    for (std::size_t j = from; j < to; ++j) mean += values[j];
    mean /= static_cast<double>(to - from);
    const double window =
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(count - 1));
    rest[i] = mean > 0 ? std::clamp(values[i] / mean - 1, -1.0, 1.0) * window : 0;
  }
  std::vector<double> magnitudes;
  for (std::size_t k = 0; k <= count / 2; ++k) {
    const std::complex<double> turn =
        std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(count));
    std::complex<double> sum = 0, factor = 1;
    for (const double value : rest) {
      sum += value * factor;
      factor *= turn;
    }
    magnitudes.push_back(std::abs(sum));
  }
  std::vector<double> sorted = magnitudes;
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2));
  const double median = sorted[sorted.size() / 2];
  std::optional<double> found;
  double strongest = stands_out * median;
  for (std::size_t k = 0; k < magnitudes.size(); ++k) {
    const double frequency = static_cast<double>(k) / static_cast<double>(count);
    const double from_eighth = std::abs(frequency * 8 - std::round(frequency * 8)) / 8;
    if (frequency < least_frequency || from_eighth < around_eighths || magnitudes[k] <= strongest) continue;
    strongest = magnitudes[k];
    found = frequency;
  }
  return found;
}

}  // namespace

std::optional<JpegGrid> jpeg_grid(const Image& image) {
  if (image.width < kLeast || image.height < kLeast) return std::nullopt;
  const Plane plane = middle_of(image);
  const int x = grid_phase(plane, true), y = grid_phase(plane, false);
  return x < 0 || y < 0 ? std::nullopt : std::optional(JpegGrid{x, y});
}

std::optional<double> resampling_frequency(const Image& image) {
  if (image.width < kLeast || image.height < kLeast) return std::nullopt;
  const Plane plane = middle_of(image);
  const auto across = frequency_of(second_differences(plane, true)),
             down = frequency_of(second_differences(plane, false));
  // A picture is scaled alike both ways; a fence or a wall has its period in one.
  if (!across || !down || std::abs(*across - *down) > 0.01) return std::nullopt;
  return (*across + *down) / 2;
}

}  // namespace lfm
