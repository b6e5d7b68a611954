// Turning pictures upright: the eight orientations of EXIF.
#include "src/image/orientation.h"

#include "src/image/decoders.h"
#include "tests/catch.h"

namespace lfm {
namespace {

/// Pixels of one number each.
Image numbered(int width, int height, const std::vector<int>& numbers) {
  Image image = make_image(width, height);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    image.rgb[3 * i] = image.rgb[3 * i + 1] = image.rgb[3 * i + 2] = static_cast<std::uint8_t>(numbers[i]);
  return image;
}

TEST_CASE("Orientation.TurnsAsExifSays") {
  const Image stored = numbered(3, 2, {0, 1, 2, 3, 4, 5});
  const std::pair<int, Image> turned[] = {{1, stored},
                                          {2, numbered(3, 2, {2, 1, 0, 5, 4, 3})},
                                          {3, numbered(3, 2, {5, 4, 3, 2, 1, 0})},
                                          {4, numbered(3, 2, {3, 4, 5, 0, 1, 2})},
                                          {5, numbered(2, 3, {0, 3, 1, 4, 2, 5})},
                                          {6, numbered(2, 3, {3, 0, 4, 1, 5, 2})},
                                          {7, numbered(2, 3, {5, 2, 4, 1, 3, 0})},
                                          {8, numbered(2, 3, {2, 5, 1, 4, 0, 3})},
                                          {0, stored},
                                          {9, stored}};
  for (const auto& [orientation, expected] : turned) {
    const Image image = upright(stored, orientation);
    CHECK_MESSAGE(image.width == expected.width, orientation);
    CHECK_MESSAGE(image.rgb == expected.rgb, orientation);
  }
}

TEST_CASE("Orientation.TurnsFollowOneAnother") {
  const Image stored = numbered(3, 2, {0, 1, 2, 3, 4, 5});
  for (int first = 1; first <= 8; ++first) {
    for (int second = 1; second <= 8; ++second) {
      CHECK_MESSAGE(upright(stored, then_turned(first, second)).rgb == upright(upright(stored, first), second).rgb,
                    first << ' ' << second);
    }
  }
}

}  // namespace
}  // namespace lfm
