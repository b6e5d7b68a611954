#include "kernels/unfold.h"

#include <tuple>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using UnfoldTest = KernelTest;

// Rows of a block and more, rows that end inside one, the smallest image.
TEST_CASE_METHOD(UnfoldTest, "UnfoldTest.EqualsTheDefinition") {
  for (const auto& [n, h, w, c] : {std::tuple{1, 2, 2, 4}, {2, 3, 5, 8}, {1, 4, 12, 64}, {3, 2, 9, 20}}) {
    const auto x = uniform(static_cast<std::size_t>(n) * h * w * c, static_cast<unsigned>(h * 10 + w));
    const DeviceArray<float> input(x);
    std::vector<float> want;
    for (int image = 0; image < n; ++image) {
      for (int y = 0; y + 1 < h; ++y) {
        for (int column = 0; column + 1 < w; ++column) {
          for (int tap = 0; tap < 4; ++tap) {
            const auto from = x.begin() + ((image * h + y + tap / 2) * w + column + tap % 2) * c;
            want.insert(want.end(), from, from + c);
          }
        }
      }
    }
    const auto got =
        result_of<float>(want.size(), [&, n = n, h = h, w = w, c = c](float* output, kernels::Stream stream) {
          kernels::unfold(output, input.data(), n, h, w, c * static_cast<int>(sizeof(float)), stream);
        });
    CHECK_MESSAGE(got == want, fmt::format("[{}][{}][{}][{}]", n, h, w, c));
  }
}

TEST_CASE_METHOD(UnfoldTest, "UnfoldTest.RefusesWhatItCannotCopyInChunks") {
  CHECK_THROWS_AS(kernels::unfold(nullptr, nullptr, 1, 4, 4, 24, nullptr), Error);
  CHECK_THROWS_AS(kernels::unfold(nullptr, nullptr, 1, 1, 4, 16, nullptr), Error);
  CHECK_THROWS_AS(kernels::unfold(nullptr, nullptr, 0, 4, 4, 16, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
