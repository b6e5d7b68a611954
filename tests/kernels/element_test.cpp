// Rounding to FP16, BF16 and TF32.
#include "kernels/element.h"

#include <cmath>
#include <limits>
#include <random>

#include "tests/catch.h"

namespace lfm::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_CASE("Element.EveryHalfSurvivesFloat") {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if ((bits & 0x7fffu) > 0x7c00u) {
      CHECK((std::isnan(value) && std::isnan(to_float(round_to<Half>(value)))));
    } else {
      REQUIRE_MESSAGE(round_to<Half>(value).bits == bits, value);
    }
  }
  CHECK(to_float(Half{0x3c00}) == 1.0f);
  CHECK(to_float(Half{0x7bff}) == 65504.0f);
  CHECK(to_float(Half{0x0001}) == 0x1p-24f);
  CHECK(to_float(Half{0xfc00}) == -kInfinity);
}

TEST_CASE("Element.HalfGoesToTheNearestAndTiesToEven") {
  CHECK(to_float(round_to<Half>(1.0f + 0x1p-11f)) == 1.0f);
  CHECK(to_float(round_to<Half>(1.0f + 0x3p-11f)) == 1.0f + 0x1p-9f);
  CHECK(to_float(round_to<Half>(std::nextafter(1.0f + 0x1p-11f, 2.0f))) == 1.0f + 0x1p-10f);
  CHECK(to_float(round_to<Half>(65519.0f)) == 65504.0f);
  CHECK(to_float(round_to<Half>(65520.0f)) == kInfinity);
  CHECK(to_float(round_to<Half>(-1e30f)) == -kInfinity);
  CHECK(to_float(round_to<Half>(0x1p-25f)) == 0.0f);
  CHECK(to_float(round_to<Half>(0x3p-25f)) == 0x1p-23f);
}

template <typename T>
struct Rounding {};

TEMPLATE_TEST_CASE_METHOD(Rounding, "Rounding.StaysWithinTheUnitRoundoffAndIsIdempotent", "", Half, Bfloat16, Tf32) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-13.0f, 15.0f);
  for (int i = 0; i < 100000; ++i) {
    const float value = (i % 2 ? 1.0f : -1.0f) * std::exp2(exponent(random));
    const float rounded = to_float(round_to<TestType>(value));
    QUICK_REQUIRE(std::abs(double{rounded} - value) <= (kUnitRoundoff<TestType> * std::abs(double{value})), value);
    QUICK_REQUIRE(to_float(round_to<TestType>(rounded)) == rounded, value);
  }
}

TEMPLATE_TEST_CASE_METHOD(Rounding, "Rounding.KeepsWhatIsNoNumber", "", Half, Bfloat16, Tf32) {
  CHECK(std::isnan(to_float(round_to<TestType>(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(to_float(round_to<TestType>(std::bit_cast<float>(0x7f800001u)))));
  CHECK(to_float(round_to<TestType>(kInfinity)) == kInfinity);
  CHECK(to_float(round_to<TestType>(-kInfinity)) == -kInfinity);
  CHECK(to_float(round_to<TestType>(0.0f)) == 0.0f);
}

}  // namespace
}  // namespace lfm::kernels
