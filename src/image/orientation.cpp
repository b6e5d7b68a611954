#include "src/image/orientation.h"

#include <algorithm>
#include <utility>

#include "src/image/decoders.h"

namespace lfm {
namespace {

constexpr Turn kTurns[] = {{false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
                           {true, false, false},  {true, true, false},  {true, true, true},  {true, false, true}};

}  // namespace

Turn turn_of(int orientation) { return orientation >= 1 && orientation <= 8 ? kTurns[orientation - 1] : Turn{}; }

int then_turned(int first, int second) {
  const Turn a = turn_of(first), b = turn_of(second);
  // Mirroring before a transposition is mirroring along the other axis after it.
  Turn both{a.transpose != b.transpose, a.mirror_x, a.mirror_y};
  if (b.transpose) std::swap(both.mirror_x, both.mirror_y);
  both.mirror_x = both.mirror_x != b.mirror_x;
  both.mirror_y = both.mirror_y != b.mirror_y;
  const auto* found = std::ranges::find_if(kTurns, [&](const Turn& t) {
    return t.transpose == both.transpose && t.mirror_x == both.mirror_x && t.mirror_y == both.mirror_y;
  });
  return static_cast<int>(found - kTurns) + 1;
}

Image upright(const Image& image, int orientation) {
  const Turn turn = turn_of(orientation);
  if (!turn.transpose && !turn.mirror_x && !turn.mirror_y) return image;
  Image turned = turn.transpose ? make_image(image.height, image.width) : make_image(image.width, image.height);
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x) {
      const int u = turn.mirror_x ? turned.width - 1 - x : x, v = turn.mirror_y ? turned.height - 1 - y : y;
      const std::size_t from = turn.transpose ? static_cast<std::size_t>(u) * image.width + v
                                              : static_cast<std::size_t>(v) * image.width + u;
      std::copy_n(&image.rgb[3 * from], 3, &turned.rgb[3 * (static_cast<std::size_t>(y) * turned.width + x)]);
    }
  }
  return turned;
}

}  // namespace lfm
