#include <algorithm>
#include <cstddef>
#include <numeric>

#include "src/engine/reference/operations.h"
#include "src/model/rbld.h"
#include "src/random/philox.h"

namespace lfm::reference {
namespace {

// The first k of positions in the order "larger value, then lower position", with their values, appended to the
// selection.
void append_largest(const double* plane, std::vector<std::int32_t>& positions, int k, Selection& selection) {
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return plane[a] != plane[b] ? plane[a] > plane[b] : a < b;
  };
  std::partial_sort(positions.begin(), positions.begin() + k, positions.end(), before);
  for (int rank = 0; rank < k; ++rank) {
    selection.position.push_back(positions[rank]);
    selection.value.push_back(plane[positions[rank]]);
  }
}

}  // namespace

Selection select_topk(const Maps& maps, int k) {
  Selection selection{maps.n, maps.c, k, {}, {}};
  std::vector<std::int32_t> all(maps.area());
  for (int image = 0; image < maps.n; ++image) {
    for (int c = 0; c < maps.c; ++c) {
      std::iota(all.begin(), all.end(), 0);
      append_largest(maps.plane(image, c), all, k, selection);
    }
  }
  return selection;
}

Selection select_at(const Maps& maps, std::span<const std::int32_t> positions, int k) {
  Selection selection{maps.n, maps.c, k, {}, {}};
  std::vector<std::int32_t> drawn;
  for (int image = 0; image < maps.n; ++image) {
    for (int c = 0; c < maps.c; ++c) {
      const auto first = positions.begin() + (static_cast<std::ptrdiff_t>(image) * maps.c + c) * k;
      drawn.assign(first, first + k);
      append_largest(maps.plane(image, c), drawn, k, selection);
    }
  }
  return selection;
}

void select_backward(const Selection& selection, std::span<const double> grad_value, Maps& grad_maps) {
  for (std::size_t i = 0; i < grad_value.size(); ++i) {
    const std::size_t map = i / static_cast<std::size_t>(selection.k);
    grad_maps.values[map * grad_maps.area() + selection.position[i]] += grad_value[i];
  }
}

std::vector<double> rbld_factors(const TrainingOptions& options, int k, std::span<const std::uint8_t> keep) {
  const std::vector<float> scale = rbld_scales(options.p_min, options.p_max, k, options.rbld_scale);
  std::vector<double> factors(keep.size());
  for (std::size_t i = 0; i < keep.size(); ++i) factors[i] = keep[i] ? scale[i % scale.size()] : 0.0;
  return factors;
}

std::vector<std::uint8_t> draw_rbld_keep(const TrainingOptions& options, const DrawKey& key, int n, int c, int k) {
  const std::vector<float> drop = rbld_drop_probabilities(options.p_min, options.p_max, k);
  std::vector<std::uint8_t> keep;
  for (int image = 0; image < n; ++image) {
    for (int channel = 0; channel < c; ++channel) {
      for (int rank = 0; rank < k; ++rank) {
        const auto global = static_cast<std::uint32_t>(key.first_image + image);
        keep.push_back(rbld_uniform(key.seed, key.step, global, channel, rank) >= drop[rank]);
      }
    }
  }
  return keep;
}

std::vector<std::int32_t> draw_rks_positions(const DrawKey& key, int n, int c, int k, int area) {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(n) * c * k);
  for (int image = 0; image < n; ++image) {
    for (int channel = 0; channel < c; ++channel) {
      const auto global = static_cast<std::uint32_t>(key.first_image + image);
      rks_positions(key.seed, key.step, global, channel, area, k,
                    &positions[(static_cast<std::size_t>(image) * c + channel) * k]);
    }
  }
  return positions;
}

std::vector<double> average_pool(const Maps& maps) {
  std::vector<double> mean;
  for (int image = 0; image < maps.n; ++image) {
    for (int c = 0; c < maps.c; ++c) {
      const double* plane = maps.plane(image, c);
      mean.push_back(std::accumulate(plane, plane + maps.area(), 0.0) / static_cast<double>(maps.area()));
    }
  }
  return mean;
}

void average_pool_backward(std::span<const double> grad_value, Maps& grad_maps) {
  for (std::size_t i = 0; i < grad_maps.values.size(); ++i) {
    grad_maps.values[i] += grad_value[i / grad_maps.area()] / static_cast<double>(grad_maps.area());
  }
}

}  // namespace lfm::reference
