// The convolutions of training on tensor cores, in both formats that training knows.
#include "kernels/conv2x2_tensor_training.h"

#include "kernels/conv2x2_tensor_weight.h"
#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using kernels::Bfloat16;
using kernels::Conv2x2Shape;
using kernels::ConvDirection;
using kernels::Tf32;

// One position; tails either way, several slices; one slab of TF32 and two; several columns of blocks; a tile exactly.
constexpr Conv2x2Shape kShapes[] = {
    {1, 2, 2, 32, 128}, {2, 11, 18, 64, 128}, {1, 10, 35, 32, 256}, {3, 9, 17, 64, 128}};

/// x, its weight, and g with a border: of zeros, or (where kernels promise not to read it) of something else.
template <typename T>
struct Inputs {
  Inputs(const Conv2x2Shape& shape, unsigned seed, bool exact, float border)
      : s(shape),
        input(values_of<T>(static_cast<std::size_t>(s.n) * s.h * s.w * s.ic, seed, exact, 4)),
        weight(values_of<T>(static_cast<std::size_t>(4) * s.ic * s.oc, seed + 1, exact, 8)),
        bias(values_of<T>(static_cast<std::size_t>(s.oc), seed + 3, exact, 2)),
        grad(static_cast<std::size_t>(s.n) * (s.h + 1) * (s.w + 1) * s.oc, border) {
    const auto inner = values_of<T>(static_cast<std::size_t>(s.n) * (s.h - 1) * (s.w - 1) * s.oc, seed + 2, exact, 4);
    for (int p = 0; p < s.n * (s.h - 1) * (s.w - 1); ++p) {
      std::copy_n(inner.begin() + static_cast<std::ptrdiff_t>(p) * s.oc, s.oc,
                  grad.begin() + static_cast<std::ptrdiff_t>(bordered(p)) * s.oc);
    }
  }
  int image(int p) const { return p / ((s.h - 1) * (s.w - 1)); }
  int y(int p) const { return p / (s.w - 1) % (s.h - 1); }
  int x(int p) const { return p % (s.w - 1); }
  int bordered(int p) const {
    return (image(p) * (s.h + 1) + y(p) + 1) * (s.w + 1) + x(p) + 1;
  }  // output position p in g
  int read(int p, int tap) const {
    return (image(p) * s.h + y(p) + tap / 2) * s.w + x(p) + tap % 2;
  }  // what tap reads of x

  Conv2x2Shape s;
  std::vector<float> input, weight, bias, grad;
};

template <typename T>
std::vector<Reference> weight_gradient(const Inputs<T>& in) {
  const Conv2x2Shape& s = in.s;
  std::vector<Reference> out(static_cast<std::size_t>(4) * s.ic * s.oc);
  for (int p = 0; p < s.n * (s.h - 1) * (s.w - 1); ++p) {
    for (int tap = 0; tap < 4; ++tap) {
      for (int c = 0; c < s.ic; ++c) {
        const double x = in.input[static_cast<std::size_t>(in.read(p, tap)) * s.ic + c];
        if (x == 0) continue;
        for (int o = 0; o < s.oc; ++o) {
          out[(static_cast<std::size_t>(tap) * s.ic + c) * s.oc + o].add(
              x * in.grad[static_cast<std::size_t>(in.bordered(p)) * s.oc + o]);
        }
      }
    }
  }
  return out;
}

// Every product of the forward convolution, and the gradient that it sends back.
template <typename T>
struct Convolved {
  explicit Convolved(const Inputs<T>& in)
      : output(static_cast<std::size_t>(in.s.n) * (in.s.h - 1) * (in.s.w - 1) * in.s.oc), grad_input(in.input.size()) {
    const Conv2x2Shape& s = in.s;
    for (int p = 0; p < s.n * (s.h - 1) * (s.w - 1); ++p) {
      const std::size_t to = static_cast<std::size_t>(p) * s.oc, from = static_cast<std::size_t>(in.bordered(p)) * s.oc;
      for (int o = 0; o < s.oc; ++o) output[to + o].add(in.bias[o]);
      for (int tap = 0; tap < 4; ++tap) {
        for (int c = 0; c < s.ic; ++c) {
          const std::size_t x = static_cast<std::size_t>(in.read(p, tap)) * s.ic + c;
          const float* weight = &in.weight[(static_cast<std::size_t>(tap) * s.ic + c) * s.oc];
          for (int o = 0; o < s.oc; ++o) {
            output[to + o].add(double{in.input[x]} * weight[o]);
            grad_input[x].add(double{in.grad[from + o]} * weight[o]);
          }
        }
      }
    }
  }
  std::vector<Reference> output, grad_input;
};

template <typename T>
struct ConvTensorTrainingTest : TensorKernelTest<T> {
  using S = kernels::Stored<T>;
  std::string name(const char* kernel, const Conv2x2Shape& s, unsigned seed) const {
    return fmt::format("{} {} [{}][{}][{}], {} -> {}, seed {}", kernel, format_name<T>(), s.n, s.h, s.w, s.ic, s.oc,
                       seed);
  }

  std::vector<float> run_forward(const Inputs<T>& in) const {
    const Conv2x2Shape& s = in.s;
    const DeviceArray<T> input(rounded<T>(in.input)), packed(in.weight.size());
    const DeviceArray<float> weight(in.weight), bias(in.bias);
    return floats_of(result_of<S>(
        static_cast<std::size_t>(s.n) * (s.h - 1) * (s.w - 1) * s.oc, [&](S* output, kernels::Stream stream) {
          kernels::pack_training_weight<T>(packed.data(), weight.data(), 4, s.ic, s.oc, ConvDirection::forward, stream);
          kernels::conv2x2_tensor_training<T>(
              {output, input.data(), packed.data(), bias.data(), s.n, s.h, s.w, s.ic, s.oc}, stream);
        }));
  }

  std::vector<float> run_backward(const Inputs<T>& in) const {
    const Conv2x2Shape& s = in.s;
    const DeviceArray<T> grad(rounded<T>(in.grad)), packed(in.weight.size());
    const DeviceArray<float> weight(in.weight);
    return floats_of(result_of<S>(in.input.size(), [&](S* output, kernels::Stream stream) {
      kernels::pack_training_weight<T>(packed.data(), weight.data(), 4, s.ic, s.oc, ConvDirection::backward, stream);
      kernels::conv2x2_tensor_training<T>(
          {output, grad.data(), packed.data(), nullptr, s.n, s.h + 1, s.w + 1, s.oc, s.ic}, stream);
    }));
  }

  std::vector<float> run_weight(const Inputs<T>& in, int passes) const {
    const DeviceArray<T> input(rounded<T>(in.input)), grad(rounded<T>(in.grad));
    const DeviceArray<float> scratch(kernels::conv2x2_tensor_weight_scratch<T>(in.s));
    return result_of<float>(static_cast<std::size_t>(4) * in.s.ic * in.s.oc, [&](float* output,
                                                                                 kernels::Stream stream) {
      for (int pass = 0; pass < passes; ++pass) {
        kernels::conv2x2_tensor_weight<T>(output, scratch.data(), input.data(), grad.data(), in.s, pass > 0, stream);
      }
    });
  }
};

TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.WeightGradientOfIntegersExactly", "",
                          Bfloat16, Tf32) {
  for (const Conv2x2Shape& s : kShapes) {
    const unsigned seed = static_cast<unsigned>(s.h);
    const Inputs<TestType> in(s, seed, true, std::numeric_limits<float>::quiet_NaN());
    const auto want = weight_gradient(in);
    const auto got = this->run_weight(in, 2);
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      QUICK_REQUIRE(got[i] == 2 * want[i].value, this->name("weight", s, seed) << " at " << i);
  }
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.WeightGradientWithinItsBound", "", Bfloat16,
                          Tf32) {
  for (const Conv2x2Shape& s : kShapes) {
    const unsigned seed = static_cast<unsigned>(100 + s.h);
    const Inputs<TestType> in(s, seed, false, 0);
    std::vector<Bounded> want;
    const double depth = static_cast<double>(s.n) * (s.h - 1) * (s.w - 1);
    for (const Reference& r : weight_gradient(in)) want.push_back({r.value, sum_bound(depth, r.magnitude)});
    expect_within(this->run_weight(in, 1), want, this->name("weight", s, seed));
  }
}

// 64 columns of a block for the gradient of 64 channels, 128 for that of 128; tails either way.
constexpr Conv2x2Shape kConvolutions[] = {{1, 2, 2, 64, 128}, {2, 10, 18, 64, 128}, {1, 6, 33, 128, 256}};

TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.ConvolutionsOfIntegersExactly", "", Bfloat16,
                          Tf32) {
  for (const Conv2x2Shape& s : kConvolutions) {
    const unsigned seed = static_cast<unsigned>(s.w);
    const Inputs<TestType> in(s, seed, true, 0);
    const Convolved<TestType> want(in);
    const auto expect_equal = [&](const std::vector<float>& got, const std::vector<Reference>& expected,
                                  const char* what) {
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i)
        QUICK_REQUIRE(got[i] == stored<kernels::Stored<TestType>>(static_cast<float>(expected[i].value)),
                      this->name(what, s, seed) << " at " << i);
    };
    expect_equal(this->run_forward(in), want.output, "forward");
    expect_equal(this->run_backward(in), want.grad_input, "gradient of the input");
  }
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.ConvolutionsWithinTheirBound", "", Bfloat16,
                          Tf32) {
  for (const Conv2x2Shape& s : kConvolutions) {
    const unsigned seed = static_cast<unsigned>(100 + s.w);
    const Inputs<TestType> in(s, seed, false, 0);
    const Convolved<TestType> want(in);
    const auto bounded = [](const std::vector<Reference>& sums, double depth) {
      std::vector<Bounded> out;
      for (const Reference& r : sums)
        out.push_back(stored_bound<kernels::Stored<TestType>>({r.value, sum_bound(depth, r.magnitude)}));
      return out;
    };
    expect_within(this->run_forward(in), bounded(want.output, 4.0 * s.ic + 1), this->name("forward", s, seed));
    expect_within(this->run_backward(in), bounded(want.grad_input, 4.0 * s.oc),
                  this->name("gradient of the input", s, seed));
  }
}

// The weights that multiply are those of Adam, rounded to nearest.
TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.RoundsWeightsToNearest", "", Bfloat16, Tf32) {
  const Conv2x2Shape s{1, 2, 2, 64, 128};
  Inputs<TestType> in(s, 3, true, 0);
  in.weight = uniform(in.weight.size(), 4);
  auto rounded_in = in;
  for (float& w : rounded_in.weight) w = kernels::to_float(kernels::round_to<TestType>(w));
  CHECK(this->run_forward(in) == this->run_forward(rounded_in));
  CHECK(this->run_backward(in) == this->run_backward(rounded_in));
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTrainingTest, "ConvTensorTrainingTest.RefusesShapesItCannotTile", "", Bfloat16,
                          Tf32) {
  using T = TestType;
  CHECK_THROWS_AS(kernels::conv2x2_tensor_training<T>({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 8, 128}, nullptr),
                  Error);
  CHECK_THROWS_AS(kernels::conv2x2_tensor_training<T>({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 64, 32}, nullptr),
                  Error);
  CHECK_THROWS_AS(kernels::conv2x2_tensor_training<T>({nullptr, nullptr, nullptr, nullptr, 1, 1, 4, 64, 128}, nullptr),
                  Error);
  CHECK_THROWS_AS(kernels::pack_training_weight<T>(nullptr, nullptr, 4, 64, 32, ConvDirection::forward, nullptr),
                  Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_tensor_weight<T>(nullptr, nullptr, nullptr, nullptr, {1, 4, 4, 8, 128}, false, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_tensor_weight<T>(nullptr, nullptr, nullptr, nullptr, {1, 4, 4, 64, 64}, false, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_tensor_weight<T>(nullptr, nullptr, nullptr, nullptr, {1, 1, 4, 64, 128}, false, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
