#include "kernels/partial_sums.h"

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

struct PartialSumsTest : KernelTest {};

// Fewer slices than are read ahead, as many, and some more; bit for bit.
TEST_CASE_METHOD(PartialSumsTest, "PartialSumsTest.AddsSlicesInOrder") {
  for (const int slices : {1, 15, 16, 17, 50}) {
    for (const bool accumulate : {false, true}) {
      constexpr int count = 300;
      const auto seed = static_cast<unsigned>(slices);
      const std::vector<float> values = uniform(static_cast<std::size_t>(slices) * count, seed),
                               before = uniform(count, 1);
      const DeviceArray<float> partials(values);
      std::vector<float> expected;
      for (std::size_t i = 0; i < count; ++i) {
        double total = accumulate ? before[i] : 0.0f;
        for (std::size_t s = 0; s < static_cast<std::size_t>(slices); ++s) total += values[s * count + i];
        expected.push_back(static_cast<float>(total));
      }
      const DeviceArray<float> sum(before);
      device::Stream stream(context());
      kernels::sum_partials(sum.data(), partials.data(), slices, count, accumulate, stream.handle());
      stream.synchronize();
      CHECK_MESSAGE(sum.read() == expected, slices << " slices, accumulated: " << accumulate);
    }
  }
}

TEST_CASE_METHOD(PartialSumsTest, "PartialSumsTest.RefusesNothing") {
  CHECK_THROWS_AS(kernels::sum_partials(nullptr, nullptr, 0, 1, false, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
