#include "kernels/first_block.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <tuple>

#include "kernels/conv2x2_direct.h"
#include "kernels/first_block_tensor.h"
#include "kernels/residual.h"
#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

constexpr int kChannels = kernels::kFirstBlockChannels;

struct FirstBlockTest : KernelTest {
  void prepare(int images, int image_height, int image_width) {
    n = images, height = image_height, width = image_width;
    h = height & ~1, w = width & ~1;
    out_h = (h - 1) / 2, out_w = (w - 1) / 2;
    seed = static_cast<unsigned>(height * 1000 + width);
    std::mt19937 random(seed);
    pixels.resize(static_cast<std::size_t>(n) * height * width * 3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
    weight = uniform(4 * 3 * kChannels, seed + 1, -0.01f, 0.01f);
    bias = uniform(kChannels, seed + 2);
  }

  std::vector<float> run() const {
    const DeviceArray<std::uint8_t> in(pixels);
    const DeviceArray<float> packed(weight), shift(bias);
    return result_of<float>(
        static_cast<std::size_t>(n) * out_h * out_w * kChannels, [&](float* output, kernels::Stream stream) {
          kernels::first_block(output, in.data(), packed.data(), shift.data(), n, height, width, stream);
        });
  }

  int residual(int image, int y, int x, int c) const {
    const auto pixel = [&](int py, int px) { return int{pixels[((image * height + py) * width + px) * 3 + c]}; };
    return std::abs(pixel(y, x) - pixel(y & ~1, x & ~1));
  }

  // Straight from the definition, in double.
  std::vector<Reference> reference() const {
    std::vector<Reference> out;
    for (int at = 0; at < n * out_h * out_w; ++at) {
      const int image = at / (out_h * out_w), y = at / out_w % out_h, x = at % out_w;
      for (int o = 0; o < kChannels; ++o) {
        Reference best{-1e30, 0};
        for (int i = 0; i < 4; ++i) {
          Reference sum;
          for (int tap = 0; tap < 4; ++tap) {
            for (int c = 0; c < 3; ++c) {
              sum.add(double(residual(image, 2 * y + i / 2 + tap / 2, 2 * x + i % 2 + tap % 2, c)) *
                      weight[(tap * 3 + c) * kChannels + o]);
            }
          }
          sum.add(bias[o]);
          best.value = std::max(best.value, sum.value);
          best.magnitude = std::max(best.magnitude, sum.magnitude);
        }
        best.value = std::max(best.value, 0.0);
        out.push_back(best);
      }
    }
    return out;
  }

  int n = 0, height = 0, width = 0, h = 0, w = 0, out_h = 0, out_w = 0;
  unsigned seed = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<float> weight, bias;
};

// Odd sizes, several images in one block of threads, a tail.
const std::tuple<int, int, int> kCases[] = {{1, 4, 4}, {3, 7, 9}, {2, 33, 48}, {1, 49, 63}};

TEST_CASE_METHOD(FirstBlockTest, "FirstBlockTest.EqualsTheDefinition") {
  for (const auto& [images, image_height, image_width] : kCases) {
    prepare(images, image_height, image_width);
    expect_close(run(), reference(), 13, fmt::format("first_block {}x{}x{}, seed {}", n, height, width, seed));
  }
}

template <typename T>
std::vector<float> floats_of(const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, float>) {
    return values;
  } else {
    std::vector<float> floats;
    for (const T v : values) floats.push_back(kernels::to_float(v));
    return floats;
  }
}

template <typename T>
struct FirstBlockTensorTest : FirstBlockTest {
  FirstBlockTensorTest() { cases::skip_unless_device_runs(kPrecisionOf<T>); }

  std::vector<float> run_tensor(int blocks_wanted = 1024) const {
    const DeviceArray<std::uint8_t> in(pixels);
    const DeviceArray<float> packed(weight), shift(bias);
    return floats_of(
        result_of<T>(static_cast<std::size_t>(n) * out_h * out_w * kChannels, [&](T* output, kernels::Stream stream) {
          kernels::first_block_tensor(output, in.data(), packed.data(), shift.data(), n, height, width, stream,
                                      blocks_wanted);
        }));
  }
};

#define FIRST_BLOCK_TENSOR_TEST(name) \
  TEMPLATE_TEST_CASE_METHOD(FirstBlockTensorTest, name, "", kernels::Half, kernels::Bfloat16, kernels::Tf32)

FIRST_BLOCK_TENSOR_TEST("FirstBlockTensorTest.EqualsTheDefinitionWithRoundedWeights") {
  for (const auto& [images, image_height, image_width] : kCases) {
    this->prepare(images, image_height, image_width);
    for (float& value : this->weight) value = kernels::to_float(kernels::round_to<TestType>(256 * value)) / 256;
    std::vector<Bounded> want;
    for (const Reference& r : this->reference()) {
      want.push_back({r.value, sum_bound(16, r.magnitude) + kernels::kUnitRoundoff<TestType> * std::abs(r.value)});
    }
    expect_within(this->run_tensor(), want,
                  fmt::format("first_block_tensor {} {}x{}x{}, seed {}", format_name<TestType>(), this->n, this->height,
                              this->width, this->seed));
  }
}

// Outputs for four blocks of threads and some of a fifth: each alone, in twos, and in fours, the last of which have
// work for one round alone.
FIRST_BLOCK_TENSOR_TEST("FirstBlockTensorTest.SameBitsInRounds") {
  this->prepare(18, 14, 22);
  const auto alone = this->run_tensor();
  for (const int blocks : {2, 1}) CHECK_MESSAGE(this->run_tensor(blocks) == alone, blocks << " blocks");
}

FIRST_BLOCK_TENSOR_TEST("FirstBlockTensorTest.KeepsNaN") {
  this->prepare(1, 6, 6);
  std::fill(this->bias.begin(), this->bias.end(), std::numeric_limits<float>::quiet_NaN());
  for (const float v : this->run_tensor()) REQUIRE(std::isnan(v));
}

template <typename T>
struct FirstBlockRoundingTest : FirstBlockTest {
  FirstBlockRoundingTest() { cases::skip_unless_device_runs(kPrecisionOf<T>); }
};

// What goes to tensor cores is the FP32 result, rounded.
TEMPLATE_TEST_CASE_METHOD(FirstBlockRoundingTest, "FirstBlockRoundingTest.RoundsForTensorCores", "", kernels::Half,
                          kernels::Bfloat16, kernels::Tf32) {
  this->prepare(2, 11, 14);
  const auto values = uniform(static_cast<std::size_t>(this->n) * this->h * this->w * 3, 5, -255.0f, 255.0f);
  const DeviceArray<float> residual(values), packed(this->weight), shift(this->bias);
  const auto run = [&]<typename T>(T) {
    return floats_of(result_of<T>(static_cast<std::size_t>(this->n) * this->out_h * this->out_w * kChannels,
                                  [&](T* output, kernels::Stream stream) {
                                    kernels::first_block(output, static_cast<const float*>(residual.data()),
                                                         packed.data(), shift.data(), this->n, this->h, this->w,
                                                         stream);
                                  }));
  };
  const auto rounded = run(TestType{}), exact = run(float{});
  for (std::size_t i = 0; i < exact.size(); ++i) {
    QUICK_REQUIRE(rounded[i] == kernels::to_float(kernels::round_to<TestType>(exact[i])), i);
  }
}

TEST_CASE_METHOD(FirstBlockTest, "FirstBlockTest.KeepsNaN") {
  prepare(1, 6, 6);
  std::fill(bias.begin(), bias.end(), std::numeric_limits<float>::quiet_NaN());
  for (const float v : run()) REQUIRE(std::isnan(v));
}

TEST_CASE_METHOD(FirstBlockTest, "FirstBlockTest.OfAResidualInMemoryEqualsTheComposedKernels") {
  for (const auto& [images, image_height, image_width] : kCases) {
    prepare(images, image_height, image_width);
    const DeviceArray<std::uint8_t> in(pixels);
    const DeviceArray<float> packed(weight), shift(bias), residual(static_cast<std::size_t>(n) * h * w * 3);
    const auto composed = result_of<float>(
        static_cast<std::size_t>(n) * out_h * out_w * kChannels, [&](float* output, kernels::Stream stream) {
          kernels::residual(FrontEnd::npr, residual.data(), in.data(), n, height, width, stream);
          kernels::conv2x2_naive({output, residual.data(), packed.data(), shift.data(), n, h, w, 3, kChannels},
                                 kernels::Epilogue::bias_relu_pool, stream);
        });
    const auto limits = reference();
    const auto fused = run();
    const auto stored = result_of<float>(composed.size(), [&](float* output, kernels::Stream stream) {
      kernels::first_block(output, static_cast<const float*>(residual.data()), packed.data(), shift.data(), n, h, w,
                           stream);
    });
    REQUIRE(fused.size() == composed.size());
    for (std::size_t i = 0; i < fused.size(); ++i) {
      QUICK_REQUIRE(std::abs(double{fused[i]} - composed[i]) <= 0x1p-22 * 13 * limits[i].magnitude,
                    "at " << i << ", seed " << seed);
      QUICK_REQUIRE(std::abs(double{stored[i]} - composed[i]) <= 0x1p-22 * 13 * limits[i].magnitude,
                    "from memory, at " << i << ", seed " << seed);
    }
  }
}

TEST_CASE_METHOD(FirstBlockTest, "FirstBlockTest.RefusesImagesWithoutAnOutput") {
  const std::uint8_t* no_pixels = nullptr;
  CHECK_THROWS_AS(kernels::first_block<float>(nullptr, no_pixels, nullptr, nullptr, 1, 3, 8, nullptr), Error);
  CHECK_THROWS_AS(kernels::first_block<float>(nullptr, no_pixels, nullptr, nullptr, 0, 8, 8, nullptr), Error);
  CHECK_THROWS_AS(kernels::first_block_tensor<kernels::Half>(nullptr, no_pixels, nullptr, nullptr, 1, 3, 8, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
