#include "src/eval/evidence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "src/image/orientation.h"

namespace lfm {

PositionValues position_values(std::span<const float> maps, const MapSize& size, const Architecture& architecture,
                               std::span<const float> values) {
  const auto area = static_cast<std::size_t>(size.area());
  const auto kept = static_cast<std::size_t>(values_per_channel(architecture));
  const std::vector<double> weights = linear_head(architecture, values).weight;  // [channels][kept]
  std::vector<double> contributions(area), cam(area);
  std::vector<std::size_t> positions(area);
  for (std::size_t c = 0; c < static_cast<std::size_t>(map_channels(architecture)); ++c) {
    const float* map = maps.data() + c * area;
    const std::span<const double> of_rank = std::span(weights).subspan(c * kept, kept);
    if (architecture.pooling == Pooling::topk) {
      // As every engine orders them: the larger value first, of equals the lower position.
      std::iota(positions.begin(), positions.end(), std::size_t{0});
      std::partial_sort(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(kept), positions.end(),
                        [&](std::size_t a, std::size_t b) { return map[a] != map[b] ? map[a] > map[b] : a < b; });
      for (std::size_t rank = 0; rank < kept; ++rank) {
        contributions[positions[rank]] += of_rank[rank] * map[positions[rank]];
      }
    } else {
      const double share = of_rank[0] / static_cast<double>(area);
      for (std::size_t p = 0; p < area; ++p) contributions[p] += share * map[p];
    }
    const double channel = std::accumulate(of_rank.begin(), of_rank.end(), 0.0) / static_cast<double>(area);
    for (std::size_t p = 0; p < area; ++p) cam[p] += channel * map[p];
  }
  PositionValues result{{contributions.begin(), contributions.end()}, {}};
  for (const double value : cam) result.grad_cam.push_back(static_cast<float>(std::max(value, 0.0)));
  return result;
}

void turn_upright(Evidence& window, int width, int height, int orientation) {
  const Turn turn = turn_of(orientation);
  if (turn.transpose) {
    std::swap(window.x, window.y);
    std::swap(window.width, window.height);
    std::swap(window.view_width, window.view_height);
    std::swap(window.rows, window.columns);
  }
  // Positions are counted from the first pixel on. Mirrored, they begin where the last position's field ended, which
  // the view goes beyond.
  const auto mirror = [&window](double& at, double& length, int& view, int positions, int side) {
    const int covered =
        std::min(view, window.stride * (positions - 1) + window.side - 2 * window.before);  // no padding
    const double scale = length / view;
    at = side - at - covered * scale;
    length = covered * scale;
    view = covered;
  };
  if (turn.mirror_x) mirror(window.x, window.width, window.view_width, window.columns, width);
  if (turn.mirror_y) mirror(window.y, window.height, window.view_height, window.rows, height);
  const auto turned = [&](std::vector<float>& values) {
    if (values.empty()) return;
    const std::vector<float> stored = values;
    for (int row = 0; row < window.rows; ++row) {
      for (int column = 0; column < window.columns; ++column) {
        const int u = turn.mirror_x ? window.columns - 1 - column : column,
                  v = turn.mirror_y ? window.rows - 1 - row : row;
        values[static_cast<std::size_t>(row) * window.columns + column] =
            stored[turn.transpose ? static_cast<std::size_t>(u) * window.rows + v
                                  : static_cast<std::size_t>(v) * window.columns + u];
      }
    }
  };
  turned(window.contributions);
  turned(window.grad_cam);
}

std::span<const Evidence> evidence_of(const Detection& detection, std::size_t member) {
  const auto begin = std::ranges::lower_bound(detection.evidence, member, {}, &Evidence::member);
  const auto end = std::ranges::upper_bound(detection.evidence, member, {}, &Evidence::member);
  return {begin, end};
}

namespace {

/// What of the view a position sees along one side: where it begins, and how many pixels; padding lies outside.
std::pair<int, int> seen(const Evidence& window, int position, int side) {
  const int first = window.stride * position - window.before;
  if (window.before == 0) return {first, window.side};
  const int begin = std::max(first, 0), end = std::min(first + window.side, side);
  return {begin, end - begin};
}

}  // namespace

std::vector<PictureRegion> top_regions(std::span<const Evidence> evidence, std::size_t count) {
  std::vector<PictureRegion> places;
  for (const Evidence& window : evidence) {
    const double across = window.width / window.view_width, down = window.height / window.view_height;
    for (int row = 0; row < window.rows; ++row) {
      for (int column = 0; column < window.columns; ++column) {
        const float contribution = window.contributions[static_cast<std::size_t>(row) * window.columns + column];
        if (contribution == 0) continue;
        const auto [left, columns] = seen(window, column, window.view_width);
        const auto [top, rows] = seen(window, row, window.view_height);
        places.push_back(
            {contribution, window.x + across * left, window.y + down * top, across * columns, down * rows});
      }
    }
  }
  std::ranges::stable_sort(places, [](const PictureRegion& a, const PictureRegion& b) {
    return std::abs(a.contribution) > std::abs(b.contribution);
  });

  std::vector<PictureRegion> chosen;
  for (const PictureRegion& place : places) {
    if (chosen.size() == count) break;
    const bool is_covered = std::ranges::any_of(chosen, [&](const PictureRegion& c) {
      return std::abs(c.x - place.x) < c.width / 2 && std::abs(c.y - place.y) < c.height / 2;
    });
    if (!is_covered) chosen.push_back(place);
  }
  return chosen;
}

}  // namespace lfm
