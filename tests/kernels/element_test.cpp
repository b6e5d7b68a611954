// Rounding to FP16, BF16 and TF32.
#include "kernels/element.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace lfm::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Element, EveryHalfSurvivesFloat) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if ((bits & 0x7fffu) > 0x7c00u) {
      EXPECT_TRUE(std::isnan(value) && std::isnan(to_float(round_to<Half>(value))));
    } else {
      ASSERT_EQ(round_to<Half>(value).bits, bits) << value;
    }
  }
  EXPECT_EQ(to_float(Half{0x3c00}), 1.0f);
  EXPECT_EQ(to_float(Half{0x7bff}), 65504.0f);
  EXPECT_EQ(to_float(Half{0x0001}), 0x1p-24f);
  EXPECT_EQ(to_float(Half{0xfc00}), -kInfinity);
}

TEST(Element, HalfGoesToTheNearestAndTiesToEven) {
  EXPECT_EQ(to_float(round_to<Half>(1.0f + 0x1p-11f)), 1.0f);
  EXPECT_EQ(to_float(round_to<Half>(1.0f + 0x3p-11f)), 1.0f + 0x1p-9f);
  EXPECT_EQ(to_float(round_to<Half>(std::nextafter(1.0f + 0x1p-11f, 2.0f))), 1.0f + 0x1p-10f);
  EXPECT_EQ(to_float(round_to<Half>(65519.0f)), 65504.0f);
  EXPECT_EQ(to_float(round_to<Half>(65520.0f)), kInfinity);
  EXPECT_EQ(to_float(round_to<Half>(-1e30f)), -kInfinity);
  EXPECT_EQ(to_float(round_to<Half>(0x1p-25f)), 0.0f);
  EXPECT_EQ(to_float(round_to<Half>(0x3p-25f)), 0x1p-23f);
}

template <typename T>
struct Rounding : ::testing::Test {};
using Formats = ::testing::Types<Half, Bfloat16, Tf32>;
TYPED_TEST_SUITE(Rounding, Formats);

TYPED_TEST(Rounding, StaysWithinTheUnitRoundoffAndIsIdempotent) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-13.0f, 15.0f);
  for (int i = 0; i < 100000; ++i) {
    const float value = (i % 2 ? 1.0f : -1.0f) * std::exp2(exponent(random));
    const float rounded = to_float(round_to<TypeParam>(value));
    ASSERT_LE(std::abs(double{rounded} - value), kUnitRoundoff<TypeParam> * std::abs(double{value})) << value;
    ASSERT_EQ(to_float(round_to<TypeParam>(rounded)), rounded) << value;
  }
}

TYPED_TEST(Rounding, KeepsWhatIsNoNumber) {
  EXPECT_TRUE(std::isnan(to_float(round_to<TypeParam>(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(to_float(round_to<TypeParam>(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(to_float(round_to<TypeParam>(kInfinity)), kInfinity);
  EXPECT_EQ(to_float(round_to<TypeParam>(-kInfinity)), -kInfinity);
  EXPECT_EQ(to_float(round_to<TypeParam>(0.0f)), 0.0f);
}

}  // namespace
}  // namespace lfm::kernels
