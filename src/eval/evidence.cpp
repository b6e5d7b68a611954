#include "src/eval/evidence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace lfm {

PositionValues position_values(std::span<const float> maps, const MapSize& size, const Architecture& architecture,
                               std::span<const float> values) {
  const auto area = static_cast<std::size_t>(size.area());
  const auto kept = static_cast<std::size_t>(values_per_channel(architecture));
  const ParameterTable table = parameter_table(architecture);
  const std::span<const float> weights = parameter(values, table, kHeadWeight);  // [64][kept]
  std::vector<double> contributions(area), cam(area);
  std::vector<std::size_t> positions(area);
  for (std::size_t c = 0; c < kMapChannels; ++c) {
    const float* map = maps.data() + c * area;
    const std::span<const float> of_rank = weights.subspan(c * kept, kept);
    if (architecture.pooling == Pooling::topk) {
      // As every engine orders them: the larger value first, of equals the lower position.
      std::iota(positions.begin(), positions.end(), std::size_t{0});
      std::partial_sort(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(kept), positions.end(),
                        [&](std::size_t a, std::size_t b) { return map[a] != map[b] ? map[a] > map[b] : a < b; });
      for (std::size_t rank = 0; rank < kept; ++rank) {
        contributions[positions[rank]] += static_cast<double>(of_rank[rank]) * map[positions[rank]];
      }
    } else {
      const double share = static_cast<double>(of_rank[0]) / static_cast<double>(area);
      for (std::size_t p = 0; p < area; ++p) contributions[p] += share * map[p];
    }
    const double channel = std::accumulate(of_rank.begin(), of_rank.end(), 0.0) / static_cast<double>(area);
    for (std::size_t p = 0; p < area; ++p) cam[p] += channel * map[p];
  }
  PositionValues result{{contributions.begin(), contributions.end()}, {}};
  for (const double value : cam) result.grad_cam.push_back(static_cast<float>(std::max(value, 0.0)));
  return result;
}

std::vector<Region> top_regions(std::span<const Evidence> evidence, std::size_t count) {
  struct Place {
    const Evidence* window;
    int row, column;
    float contribution;
  };
  std::vector<Place> places;
  for (const Evidence& window : evidence) {
    for (int row = 0; row < window.rows; ++row) {
      for (int column = 0; column < window.columns; ++column) {
        const float contribution = window.contributions[static_cast<std::size_t>(row * window.columns + column)];
        if (contribution != 0) places.push_back({&window, row, column, contribution});
      }
    }
  }
  std::ranges::stable_sort(places, [](const Place& a, const Place& b) { return std::abs(a.contribution) > std::abs(b.contribution); });

  constexpr ReceptiveField field = receptive_field();
  constexpr int apart = (field.side / 2 + field.stride - 1) / field.stride;  // positions; nearer ones overlap by more than half
  std::vector<Place> chosen;
  for (const Place& place : places) {
    if (chosen.size() == count) break;
    const bool is_covered = std::ranges::any_of(chosen, [&](const Place& c) {
      return c.window == place.window && std::abs(c.row - place.row) < apart && std::abs(c.column - place.column) < apart;
    });
    if (!is_covered) chosen.push_back(place);
  }
  std::vector<Region> regions;
  for (const Place& place : chosen) {
    const Evidence& w = *place.window;
    const double across = w.width / w.view_width, down = w.height / w.view_height;
    regions.push_back({place.contribution, w.x + across * field.stride * place.column, w.y + down * field.stride * place.row,
                       across * field.side, down * field.side});
  }
  return regions;
}

}  // namespace lfm
