#include "kernels/spread.h"

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using SpreadTest = KernelTest;

TEST_CASE_METHOD(SpreadTest, "SpreadTest.PutsZerosBetweenTheValues") {
  struct Size {
    int n, h, w, c;
  };
  for (const Size& s : {Size{1, 1, 1, 4}, {2, 5, 6, 8}, {3, 4, 7, 64}, {1, 2, 2, 12}}) {
    const int oh = (s.h - 1) / 2 + 1, ow = (s.w - 1) / 2 + 1;
    const auto values = uniform(static_cast<std::size_t>(s.n) * oh * ow * s.c, 3);
    const DeviceArray<float> on(values);
    const auto got = result_of<float>(
        static_cast<std::size_t>(s.n) * s.h * s.w * s.c,
        [&](float* output, kernels::Stream stream) { kernels::spread(output, on.data(), s.n, s.h, s.w, s.c, stream); });
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::size_t c = i % s.c, x = i / s.c % s.w, y = i / s.c / s.w % s.h, image = i / s.c / s.w / s.h;
      const bool has_value = x % 2 == 0 && y % 2 == 0;
      QUICK_REQUIRE(got[i] == (has_value ? values[((image * oh + y / 2) * ow + x / 2) * s.c + c] : 0.0f), i);
    }
  }
}

TEST_CASE_METHOD(SpreadTest, "SpreadTest.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(kernels::spread(nullptr, nullptr, 1, 4, 4, 6, nullptr), Error);
  CHECK_THROWS_AS(kernels::spread(nullptr, nullptr, 0, 4, 4, 4, nullptr), Error);
  CHECK_THROWS_AS(kernels::spread(nullptr, nullptr, 1000, 1000, 1000, 64, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
