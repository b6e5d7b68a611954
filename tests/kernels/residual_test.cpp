#include "kernels/residual.h"

#include <cmath>
#include <cstdlib>
#include <tuple>

#include "src/engine/reference/operations.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using ResidualTest = KernelTest;

TEST_CASE_METHOD(ResidualTest, "ResidualTest.NprEqualsTheDefinition") {
  struct Size {
    int n, height, width;
  };
  for (const Size& size : {Size{1, 2, 2}, {2, 7, 5}, {3, 33, 48}, {1, 49, 63}}) {
    const int n = size.n, height = size.height, width = size.width;
    std::mt19937 random(static_cast<unsigned>(height));
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(n) * height * width * 3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
    const int h = height & ~1, w = width & ~1;
    const DeviceArray<std::uint8_t> input(pixels);
    const auto got =
        result_of<float>(static_cast<std::size_t>(n) * h * w * 3, [&](float* output, kernels::Stream stream) {
          kernels::residual(FrontEnd::npr, output, input.data(), n, height, width, stream);
        });
    const auto pixel = [&](int i, int y, int x, int c) { return int{pixels[((i * height + y) * width + x) * 3 + c]}; };
    std::size_t at = 0;
    for (int i = 0; i < n; ++i) {
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          for (int c = 0; c < 3; ++c, ++at) {
            const auto expected = static_cast<float>(std::abs(pixel(i, y, x, c) - pixel(i, y / 2 * 2, x / 2 * 2, c)));
            QUICK_REQUIRE(got[at] == expected, "image " << i << ", y " << y << ", x " << x << ", channel " << c
                                                        << " of " << height << "x" << width);
          }
        }
      }
    }
  }
}

// In double, of the reference engine, whose own are compared with PyTorch's.
TEST_CASE_METHOD(ResidualTest, "ResidualTest.EveryFrontEndIsTheReferences") {
  constexpr int n = 2;
  for (const auto& [height, width] : {std::pair{48, 64}, {49, 51}}) {
    std::mt19937 random(static_cast<unsigned>(width));
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(n) * height * width * 3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
    const DeviceArray<std::uint8_t> input(pixels);
    for (const FrontEndRow& row : front_ends()) {
      const reference::Maps expected = reference::residual(row, {pixels.data(), n, height, width});
      const auto got = result_of<float>(expected.values.size(),
                                        [&, height = height, width = width](float* output, kernels::Stream stream) {
                                          kernels::residual(row.kind, output, input.data(), n, height, width, stream);
                                        });
      for (int image = 0; image < n; ++image) {
        for (std::size_t c = 0; c < 3; ++c) {
          for (std::size_t i = 0; i < expected.area(); ++i) {
            const double value = got[(static_cast<std::size_t>(image) * expected.area() + i) * 3 + c] * row.scale(c);
            QUICK_REQUIRE(std::abs(value - expected.plane(image, static_cast<int>(c))[i]) <= 1e-5,
                          row.word << ", image " << image << ", channel " << c << ", position " << i << " of " << height
                                   << "x" << width);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace lfm::test
