// Rows and columns of a map, or of a picture.
#pragma once

namespace lfm {

struct MapSize {
  int h = 0;
  int w = 0;
  constexpr int area() const { return h * w; }
  bool operator==(const MapSize&) const = default;
};

}  // namespace lfm
