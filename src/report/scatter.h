// A picture of points in groups, as an SVG file.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lfm {

struct ScatterPoint {
  std::array<double, 2> at{};
  std::size_t group = 0;   ///< gives the colour
  std::uint8_t label = 0;  ///< 1 = fake: a full dot; 0 = real: a ring
};

/// Without axes: in an embedding, neither direction means anything.
std::string scatter_svg(const std::string& title, std::span<const ScatterPoint> points,
                        const std::vector<std::string>& groups);

}  // namespace lfm
