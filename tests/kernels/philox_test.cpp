#include "src/random/philox.h"

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "tests/catch.h"

namespace lfm {
namespace {

// Known answers published with Random123 (kat_vectors, "philox4x32 10").
TEST_CASE("Philox.KnownAnswers") {
  CHECK_THAT(philox4x32({{0, 0, 0, 0}}, 0, 0).word,
             test::ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  CHECK_THAT(philox4x32({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u).word,
             test::ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  CHECK_THAT(philox4x32({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u).word,
             test::ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST_CASE("Philox.LayoutOfKeyAndCounter") {
  const auto block = draw_block(0x299f31d0a4093822u, 0x85a308d3243f6a88u, 0x13198a2eu, Stream::shuffle, 0x707344u);
  CHECK_THAT(block.word, test::ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST_CASE("Philox.UniformsStayInsideTheirRange") {
  CHECK(uniform01(0) == 0.0f);
  CHECK(uniform01(~0u) == 1.0f - 0x1p-24f);
  CHECK(uniform_below(~0u, 900) == 899u);
  CHECK(uniform_below(0, 900) == 0u);
  CHECK(uniform_below(1u << 31, 3) == 1u);
}

TEST_CASE("Philox.RbldRanksAreSeparateUniforms") {
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
  CHECK_THAT(sum / n, WithinAbs(0.5, 6 * std::sqrt(1.0 / 12 / n)));
  CHECK_THAT(squares / n, WithinAbs(1.0 / 3, 6 * std::sqrt(4.0 / 45 / n)));
  CHECK(different.size() > static_cast<std::size_t>(n * 0.995));  // 24 bits: about n^2 / 2^25 = 50 of them collide
}

// 256 channels are drawn as ever; the ResNet trunk has 512.
TEST_CASE("Philox.ChannelsBeyond256AreDrawnForThemselves") {
  CHECK(block_of(255, 4 * 65535) == 0xFFFFFFu);
  std::set<std::uint32_t> blocks;
  for (int channel = 0; channel < 1 << 13; ++channel) {
    const std::uint32_t block = block_of(channel, 17);
    blocks.insert(block);
    REQUIRE((block & 7u << 24) == 0u);  // the stream's
  }
  CHECK(blocks.size() == std::size_t{1} << 13);
  std::array<std::int32_t, 16> one{}, other{};
  rks_positions(1, 2, 3, 4, 4096, 16, one.data());
  rks_positions(1, 2, 3, 4 + 256, 4096, 16, other.data());
  CHECK(one != other);
  CHECK(rbld_uniform(1, 2, 3, 4, 0) != rbld_uniform(1, 2, 3, 4 + 256, 0));
}

TEST_CASE("Philox.RksPositionsAreDifferentAndUniform") {
  constexpr int area = 36, k = 16, images = 100, channels = 64;
  std::vector<int> hits(area);
  for (int image = 0; image < images; ++image) {
    for (int c = 0; c < channels; ++c) {
      std::array<std::int32_t, k> positions{};
      rks_positions(11, 5, static_cast<std::uint32_t>(image), c, area, k, positions.data());
      CHECK(std::set<std::int32_t>(positions.begin(), positions.end()).size() == std::size_t{k});
      for (const auto p : positions) {
        REQUIRE(p >= 0);
        REQUIRE(p < area);
        ++hits[static_cast<std::size_t>(p)];
      }
    }
  }
  const double probability = double{k} / area, n = images * channels;
  for (const int h : hits)
    CHECK_THAT(h / n, WithinAbs(probability, 6 * std::sqrt(probability * (1 - probability) / n)));
}

TEST_CASE("Philox.RksOfAFullMapTakesEveryPosition") {
  std::array<std::int32_t, 16> positions{};
  rks_positions(1, 2, 3, 4, 16, 16, positions.data());
  CHECK(std::set<std::int32_t>(positions.begin(), positions.end()).size() == 16u);
}

}  // namespace
}  // namespace lfm
