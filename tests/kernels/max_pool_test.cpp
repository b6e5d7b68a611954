#include "kernels/max_pool.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <tuple>

#include "kernels/element.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using MaxPoolTest = KernelTest;

/// What a ReLU leaves, with zeros of both signs, subnormals, infinity and NaN among it; and its formats.
std::vector<float> activations(std::size_t count, unsigned seed) {
  std::vector<float> values = uniform(count, seed, -1.0f, 2.0f);
  for (float& v : values) v = std::max(v, 0.0f);
  constexpr float kSpecial[] = {-0.0f, 0x1p-16f, std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN()};
  for (std::size_t i = 0; i < count; i += 7) values[i] = kSpecial[i / 7 % 4];
  return values;
}

float value_of(float v) { return v; }
float value_of(kernels::Half v) { return kernels::to_float(v); }
float value_of(kernels::Bfloat16 v) { return kernels::to_float(v); }

template <typename T>
void check(const char* format) {
  for (const auto& [n, h, w, c] : {std::tuple{1, 2, 2, 8}, {2, 5, 7, 16}, {1, 4, 33, 64}, {3, 2, 3, 24}}) {
    const auto floats = activations(static_cast<std::size_t>(n) * h * w * c, static_cast<unsigned>(w));
    std::vector<T> x;
    for (const float v : floats) {
      if constexpr (std::is_same_v<T, float>) {
        x.push_back(v);
      } else {
        x.push_back(kernels::round_to<T>(v));
      }
    }
    const DeviceArray<T> input(x);
    const std::size_t count = static_cast<std::size_t>(n) * (h / 2) * (w / 2) * c;
    const auto got = result_of<T>(count, [&, n = n, h = h, w = w, c = c](T* output, kernels::Stream stream) {
      kernels::max_pool_of_relu(output, input.data(), n, h, w, c, sizeof(T), stream);
    });
    std::size_t wrong = 0, at = 0;
    for (int image = 0; image < n; ++image) {
      for (int y = 0; y < h / 2; ++y) {
        for (int column = 0; column < w / 2; ++column) {
          for (int channel = 0; channel < c; ++channel) {
            float largest = 0;
            for (int tap = 0; tap < 4; ++tap) {
              const float v = value_of(x[((image * h + 2 * y + tap / 2) * w + 2 * column + tap % 2) * c + channel]);
              if (v > largest || v != v) largest = v;
              if (largest != largest) break;  // NaN is the largest
            }
            const float mine = value_of(got[at++]);
            if (!(mine == largest || (mine != mine && largest != largest))) ++wrong;
          }
        }
      }
    }
    CHECK_MESSAGE(wrong == 0, fmt::format("{} [{}][{}][{}][{}]", format, n, h, w, c));
  }
}

TEST_CASE_METHOD(MaxPoolTest, "MaxPoolTest.EqualsTheDefinitionInEveryFormat") {
  check<float>("fp32");
  check<kernels::Half>("fp16");
  check<kernels::Bfloat16>("bf16");
}

TEST_CASE_METHOD(MaxPoolTest, "MaxPoolTest.RefusesWhatItCannotTile") {
  CHECK_THROWS_AS(kernels::max_pool_of_relu(nullptr, nullptr, 1, 4, 4, 4, 2, nullptr), Error);
  CHECK_THROWS_AS(kernels::max_pool_of_relu(nullptr, nullptr, 1, 1, 4, 8, 2, nullptr), Error);
  CHECK_THROWS_AS(kernels::max_pool_of_relu(nullptr, nullptr, 1, 4, 4, 16, 1, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
