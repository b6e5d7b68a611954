#include "src/random/philox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace lfm {
namespace {

using ::testing::ElementsAre;

// Known answers published with Random123 (kat_vectors, "philox4x32 10").
TEST(Philox, KnownAnswers) {
  EXPECT_THAT(philox4x32({{0, 0, 0, 0}}, 0, 0).word, ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox4x32({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u).word,
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(philox4x32({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u).word,
              ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST(Philox, LayoutOfKeyAndCounter) {
  const auto block = draw_block(0x299f31d0a4093822u, 0x85a308d3243f6a88u, 0x13198a2eu, Stream::shuffle, 0x707344u);
  EXPECT_THAT(block.word, ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST(Philox, UniformsStayInsideTheirRange) {
  EXPECT_EQ(uniform01(0), 0.0f);
  EXPECT_EQ(uniform01(~0u), 1.0f - 0x1p-24f);
  EXPECT_EQ(uniform_below(~0u, 900), 899u);
  EXPECT_EQ(uniform_below(0, 900), 0u);
  EXPECT_EQ(uniform_below(1u << 31, 3), 1u);
}

TEST(Philox, RbldRanksAreSeparateUniforms) {
  constexpr int images = 40, channels = 64, k = 16;
  std::set<float> different;
  double sum = 0, squares = 0;
  for (int image = 0; image < images; ++image) {
    for (int c = 0; c < channels; ++c) {
      for (int r = 0; r < k; ++r) {
        const float u = rbld_uniform(7, 3, static_cast<std::uint32_t>(image), c, r);
        different.insert(u);
        sum += u;
        squares += double{u} * u;
      }
    }
  }
  const double n = images * channels * k;
  EXPECT_NEAR(sum / n, 0.5, 6 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 6 * std::sqrt(4.0 / 45 / n));
  EXPECT_GT(different.size(), static_cast<std::size_t>(n * 0.995));  // 24 bits: about n^2 / 2^25 = 50 of them collide
}

TEST(Philox, RksPositionsAreDifferentAndUniform) {
  constexpr int area = 36, k = 16, images = 100, channels = 64;
  std::vector<int> hits(area);
  for (int image = 0; image < images; ++image) {
    for (int c = 0; c < channels; ++c) {
      std::array<std::int32_t, k> positions{};
      rks_positions(11, 5, static_cast<std::uint32_t>(image), c, area, k, positions.data());
      EXPECT_EQ(std::set<std::int32_t>(positions.begin(), positions.end()).size(), std::size_t{k});
      for (const auto p : positions) {
        ASSERT_GE(p, 0);
        ASSERT_LT(p, area);
        ++hits[static_cast<std::size_t>(p)];
      }
    }
  }
  const double probability = double{k} / area, n = images * channels;
  for (const int h : hits) EXPECT_NEAR(h / n, probability, 6 * std::sqrt(probability * (1 - probability) / n));
}

TEST(Philox, RksOfAFullMapTakesEveryPosition) {
  std::array<std::int32_t, 16> positions{};
  rks_positions(1, 2, 3, 4, 16, 16, positions.data());
  EXPECT_EQ(std::set<std::int32_t>(positions.begin(), positions.end()).size(), 16u);
}

}  // namespace
}  // namespace lfm
