#include "src/report/heat_map.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/catch.h"

namespace lfm {
namespace {

constexpr int kWidth = 96, kHeight = 64;
const Image kWhite{kWidth, kHeight, std::vector<std::uint8_t>(3 * kWidth * kHeight, 255)};

/// A window of 64x64 pixels whose 6x6 positions all have one value.
Evidence window(double x, float value) {
  return {x, 0, 64, 64, 64, 64, 6, 6, std::vector<float>(36, value), std::vector<float>(36, std::abs(value))};
}

/// Of a pixel halfway down: how much more red than blue it is.
int redness(const Image& image, int x) {
  const std::uint8_t* rgb = &image.rgb[3 * (static_cast<std::size_t>(kHeight) / 2 * kWidth + x)];
  return rgb[0] - rgb[2];
}

TEST_CASE("HeatMap.WindowsThatOverlapAddUp") {
  const Image drawn = draw_heat(kWhite, kWidth, kHeight, std::vector{window(0, 1), window(32, 1)}, Heat::contributions);
  CHECK_MESSAGE(redness(drawn, 20) == redness(drawn, 76), "each is seen by one");
  CHECK_MESSAGE(redness(drawn, 48) > redness(drawn, 20), "both see the middle");
  const Image cancelled =
      draw_heat(kWhite, kWidth, kHeight, std::vector{window(0, 1), window(32, -1)}, Heat::contributions);
  CHECK_MESSAGE(redness(cancelled, 48) == 0, "and what they say of it may cancel");
  CHECK(redness(cancelled, 20) > 0);
  CHECK(redness(cancelled, 76) < 0);
}

TEST_CASE("HeatMap.WhatNoPositionSeesIsGrey") {
  const Image drawn = draw_heat(kWhite, kWidth, kHeight, std::vector{window(0, 1)}, Heat::contributions);
  CHECK_MESSAGE(redness(drawn, 62) > 0, "the last position covers the pixels up to 62");
  CHECK(redness(drawn, 63) == 0);
  CHECK(redness(drawn, 80) == 0);
}

}  // namespace
}  // namespace lfm
