#include "kernels/stem_conv.h"

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using StemConvTest = KernelTest;
constexpr int kOutputs = 64, kTerms = 27;
constexpr kernels::ResidualScale kScale = {0.25f, 0.5f, 2.0f};

struct Size {
  int n, h, w;
  int out_h() const { return (h - 1) / 2 + 1; }
  int out_w() const { return (w - 1) / 2 + 1; }
  std::size_t outputs() const { return static_cast<std::size_t>(n) * out_h() * out_w() * kOutputs; }
};

// One pixel; odd and even sides; several tiles with a tail in both directions, and several images.
constexpr Size kSizes[] = {{1, 1, 1}, {2, 4, 5}, {1, 18, 67}, {3, 17, 66}};

/// Calls visit(output position, term, residual) for every product of the convolution with a weight of each channel.
template <typename Visit>
void for_products(const Size& s, const std::vector<float>& residual, const Visit& visit) {
  for (int position = 0; position < s.n * s.out_h() * s.out_w(); ++position) {
    const int image = position / s.out_w() / s.out_h(), y = position / s.out_w() % s.out_h(), x = position % s.out_w();
    for (int term = 0; term < kTerms; ++term) {
      const int row = 2 * y - 1 + term / 9, column = 2 * x - 1 + term / 3 % 3, c = term % 3;
      if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
      const std::size_t at = static_cast<std::size_t>(((image * s.h + row) * s.w + column) * 3 + c);
      visit(static_cast<std::size_t>(position), static_cast<std::size_t>(term),
            double{residual[at]} * kScale.channel[c]);
    }
  }
}

std::vector<float> residual_of(const Size& s) {
  return uniform(static_cast<std::size_t>(s.n) * s.h * s.w * 3, static_cast<unsigned>(s.w), -60, 60);
}

std::string name(const char* what, const Size& s) { return fmt::format("{} of [{}][{}][{}]", what, s.n, s.h, s.w); }

TEST_CASE_METHOD(StemConvTest, "StemConvTest.EqualsTheDefinition") {
  for (const Size& s : kSizes) {
    const auto residual = residual_of(s), weight = uniform(kTerms * kOutputs, 1);
    const DeviceArray<float> residual_on(residual), weight_on(weight);
    const auto got = result_of<float>(s.outputs(), [&](float* output, kernels::Stream stream) {
      kernels::stem_conv(output, {residual_on.data(), s.n, s.h, s.w, kScale}, weight_on.data(), stream);
    });
    std::vector<Reference> want(s.outputs());
    for_products(s, residual, [&](std::size_t position, std::size_t term, double r) {
      for (std::size_t o = 0; o < kOutputs; ++o) want[position * kOutputs + o].add(r * weight[term * kOutputs + o]);
    });
    expect_close(got, want, kTerms + 1.0, name("output", s));
  }
}

TEST_CASE_METHOD(StemConvTest, "StemConvTest.WeightGradientEqualsTheDefinition") {
  for (const Size& s : kSizes) {
    const auto residual = residual_of(s), grad = uniform(s.outputs(), 2);
    const DeviceArray<float> residual_on(residual), grad_on(grad),
        scratch(kernels::stem_conv_backward_weight_scratch(s.n, s.h, s.w));
    const kernels::FirstConvInput<float> input{residual_on.data(), s.n, s.h, s.w, kScale};
    std::vector<Reference> want(kTerms * kOutputs);
    for_products(s, residual, [&](std::size_t position, std::size_t term, double r) {
      for (std::size_t o = 0; o < kOutputs; ++o) want[term * kOutputs + o].add(r * grad[position * kOutputs + o]);
    });
    const double depth = static_cast<double>(s.n) * s.out_h() * s.out_w() + 2;
    const auto got = result_of<float>(want.size(), [&](float* output, kernels::Stream stream) {
      kernels::stem_conv_backward_weight(output, scratch.data(), input, grad_on.data(), false, stream);
    });
    expect_close(got, want, depth, name("weight", s));

    for (Reference& r : want) r.add(3.0);
    const DeviceArray<float> accumulated(std::vector<float>(want.size(), 3.0f));
    device::Stream stream(context());
    kernels::stem_conv_backward_weight(accumulated.data(), scratch.data(), input, grad_on.data(), true,
                                       stream.handle());
    stream.synchronize();
    expect_close(accumulated.read(), want, depth + 1, name("weight, accumulated", s));
  }
}

TEST_CASE_METHOD(StemConvTest, "StemConvTest.RefusesAnEmptyBatch") {
  CHECK_THROWS_AS(kernels::stem_conv(nullptr, {nullptr, 0, 4, 4, kScale}, nullptr, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::stem_conv_backward_weight(nullptr, nullptr, {nullptr, 1, 0, 4, kScale}, nullptr, false, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
