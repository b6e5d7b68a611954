#include "kernels/first_conv.h"

#include <cstdlib>
#include <tuple>

#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using FirstConvInput = kernels::FirstConvInput<>;
using FirstConvTest = KernelTest;
constexpr int kChannels = kernels::kFirstBlockChannels;
constexpr kernels::ResidualScale kScale{{0.017f, 0.0175f, 0.0174f}};

struct Inputs {
  Inputs(int images, int image_height, int image_width, unsigned seed)
      : n(images), height(image_height), width(image_width), out_h((height & ~1) - 1), out_w((width & ~1) - 1) {
    std::mt19937 random(seed);
    pixels.resize(static_cast<std::size_t>(n) * height * width * 3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random());
    weight = uniform(12 * kChannels, seed + 1);
    bias = uniform(kChannels, seed + 2);
    grad = uniform(static_cast<std::size_t>(n) * out_h * out_w * kChannels, seed + 3);
  }
  double residual(int image, int y, int x, int c) const {
    const auto pixel = [&](int py, int px) {
      return int{pixels[((static_cast<std::size_t>(image) * height + py) * width + px) * 3 + c]};
    };
    return double{kScale.channel[c]} * std::abs(pixel(y, x) - pixel(y & ~1, x & ~1));
  }
  int n, height, width, out_h, out_w;
  std::vector<std::uint8_t> pixels;
  std::vector<float> weight, bias, grad;
};

// The smallest image, odd sides, several stages, two slices with a tail.
TEST_CASE_METHOD(FirstConvTest, "FirstConvTest.ForwardAndWeightGradientEqualTheDefinition") {
  for (const auto& [n, height, width] : {std::tuple{1, 2, 2}, {2, 5, 7}, {1, 17, 18}, {3, 20, 31}}) {
    const unsigned seed = static_cast<unsigned>(height * 100 + width);
    const Inputs in(n, height, width, seed);
    std::vector<Reference> output(in.grad.size()), grad_weight(in.weight.size());
    for (int image = 0; image < n; ++image) {
      for (int y = 0; y < in.out_h; ++y) {
        for (int x = 0; x < in.out_w; ++x) {
          const std::size_t at = ((static_cast<std::size_t>(image) * in.out_h + y) * in.out_w + x) * kChannels;
          for (int o = 0; o < kChannels; ++o) output[at + o].add(in.bias[o]);
          for (int term = 0; term < 12; ++term) {
            const double r = in.residual(image, y + term / 6, x + term / 3 % 2, term % 3);
            for (int o = 0; o < kChannels; ++o) {
              output[at + o].add(r * in.weight[term * kChannels + o]);
              grad_weight[term * kChannels + o].add(r * in.grad[at + o]);
            }
          }
        }
      }
    }
    const DeviceArray<std::uint8_t> pixels(in.pixels);
    const DeviceArray<float> weight(in.weight), bias(in.bias), grad(in.grad);
    const FirstConvInput input{pixels.data(), n, height, width, kScale};
    const std::string what = fmt::format("{} of {}x{}, seed {}", n, height, width, seed);
    const auto got = result_of<float>(output.size(), [&](float* out, kernels::Stream stream) {
      kernels::first_conv(out, input, weight.data(), bias.data(), stream);
    });
    expect_close(got, output, 13, "forward, " + what);

    const DeviceArray<float> scratch(kernels::first_conv_backward_weight_scratch(n, height, width));
    const auto got_grad = result_of<float>(grad_weight.size(), [&](float* out, kernels::Stream stream) {
      kernels::first_conv_backward_weight(out, scratch.data(), input, grad.data(), false, stream);
    });
    expect_close(got_grad, grad_weight, n * in.out_h * in.out_w, "weight, " + what);
  }
}

// The same sums whether a gradient is stored in BF16 or, the same values, in FP32.
TEST_CASE_METHOD(FirstConvTest, "FirstConvTest.WeightGradientOfBfloat16AsOfFp32") {
  using kernels::Bfloat16;
  constexpr int n = 2, height = 20, width = 31;
  const Inputs in(n, height, width, 5);
  const DeviceArray<std::uint8_t> pixels(in.pixels);
  const DeviceArray<float> scratch(kernels::first_conv_backward_weight_scratch(n, height, width));
  const auto weight_gradient = [&](const auto& grad) {
    return result_of<float>(in.weight.size(), [&](float* out, kernels::Stream stream) {
      kernels::first_conv_backward_weight(out, scratch.data(), FirstConvInput{pixels.data(), n, height, width, kScale},
                                          grad.data(), false, stream);
    });
  };
  const auto grad = rounded<Bfloat16>(in.grad);
  CHECK(weight_gradient(DeviceArray<Bfloat16>(grad)) == weight_gradient(DeviceArray<float>(floats_of(grad))));
}

TEST_CASE_METHOD(FirstConvTest, "FirstConvTest.RefusesEmptyOutputs") {
  float* none = nullptr;
  CHECK_THROWS_AS(kernels::first_conv(none, FirstConvInput{nullptr, 1, 1, 8, kScale}, nullptr, nullptr, nullptr),
                  Error);
  CHECK_THROWS_AS(kernels::first_conv_backward_weight(nullptr, nullptr, FirstConvInput{nullptr, 0, 8, 8, kScale}, none,
                                                      false, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
