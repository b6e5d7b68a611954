// The 1x1 convolution of training on tensor cores, forward and backward.
#include "kernels/projection_tensor.h"

#include "kernels/conv2x2_tensor_training.h"
#include "lfm/error.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using kernels::Bfloat16;
using kernels::ConvDirection;
using kernels::Tf32;

constexpr int kMaps = 64;

struct Shape {
  int n, area, ic;
};

// One position; a tail of a block and several slices of grad_w; whole blocks; maps that begin anywhere.
constexpr Shape kShapes[] = {{1, 1, 128}, {3, 49, 128}, {2, 64, 256}, {2, 81, 128}};

template <typename T>
struct Inputs {
  Inputs(const Shape& shape, unsigned seed, bool exact)
      : s(shape),
        input(values_of<T>(static_cast<std::size_t>(s.n) * s.area * s.ic, seed, exact, 4)),
        weight(values_of<T>(static_cast<std::size_t>(s.ic) * kMaps, seed + 1, exact, 4)),
        grad(values_of<T>(static_cast<std::size_t>(s.n) * s.area * kMaps, seed + 2, exact, 4)) {}
  Shape s;
  std::vector<float> input, weight, grad;
};

template <typename T>
struct Definition {
  explicit Definition(const Inputs<T>& in)
      : maps(in.grad.size()), grad_input(in.input.size()), grad_weight(in.weight.size()) {
    const Shape& s = in.s;
    for (int p = 0; p < s.n * s.area; ++p) {
      for (int c = 0; c < s.ic; ++c) {
        const std::size_t x = static_cast<std::size_t>(p) * s.ic + c;
        for (int o = 0; o < kMaps; ++o) {
          const double g = in.grad[static_cast<std::size_t>(p) * kMaps + o],
                       w = in.weight[static_cast<std::size_t>(c) * kMaps + o];
          maps[(static_cast<std::size_t>(p / s.area) * kMaps + o) * s.area + p % s.area].add(w * in.input[x]);
          grad_input[x].add(w * g);
          grad_weight[static_cast<std::size_t>(c) * kMaps + o].add(g * in.input[x]);
        }
      }
    }
  }
  std::vector<Reference> maps, grad_input, grad_weight;
};

template <typename T>
struct Results {
  explicit Results(const Inputs<T>& in) {
    const Shape& s = in.s;
    const int positions = s.n * s.area;
    const DeviceArray<T> input(rounded<T>(in.input)), grad(in.grad.size()), packed(in.weight.size());
    const DeviceArray<float> weight(in.weight), exact_grad(in.grad),
        scratch(kernels::projection_weight_tensor_scratch(positions, s.ic));
    maps = result_of<float>(in.grad.size(), [&](float* output, kernels::Stream stream) {
      kernels::pack_training_weight<T>(packed.data(), weight.data(), 1, s.ic, kMaps, ConvDirection::forward, stream);
      kernels::projection_tensor<T>(output, input.data(), packed.data(), s.n, s.area, s.ic, stream);
    });
    grad_input = floats_of(result_of<kernels::Stored<T>>(in.input.size(), [&](auto* output, kernels::Stream stream) {
      kernels::round_values<T>(grad.data(), exact_grad.data(), in.grad.size(), stream);
      kernels::pack_training_weight<T>(packed.data(), weight.data(), 1, s.ic, kMaps, ConvDirection::backward, stream);
      kernels::projection_input_tensor<T>(output, grad.data(), packed.data(), positions, s.ic, stream);
    }));
    grad_weight = result_of<float>(in.weight.size(), [&](float* output, kernels::Stream stream) {
      kernels::projection_weight_tensor<T>(output, scratch.data(), input.data(), grad.data(), positions, s.ic, false,
                                           stream);
      kernels::projection_weight_tensor<T>(output, scratch.data(), input.data(), grad.data(), positions, s.ic, true,
                                           stream);
    });
  }
  std::vector<float> maps, grad_input, grad_weight;  // the last twice, accumulated
};

template <typename T>
struct ProjectionTensorTest : TensorKernelTest<T> {};

TEMPLATE_TEST_CASE_METHOD(ProjectionTensorTest, "ProjectionTensorTest.IntegersExactly", "", Bfloat16, Tf32) {
  for (const Shape& s : kShapes) {
    const Inputs<TestType> in(s, static_cast<unsigned>(s.area), true);
    const Results<TestType> got(in);
    Definition<TestType> want(in);
    for (Reference& r : want.grad_input) r.value = stored<kernels::Stored<TestType>>(static_cast<float>(r.value));
    const auto expect_equal = [&](const std::vector<float>& values, const std::vector<Reference>& expected,
                                  double times, const char* what) {
      REQUIRE(values.size() == expected.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        QUICK_REQUIRE(values[i] == times * expected[i].value,
                      what << ' ' << format_name<TestType>() << ' ' << s.n << 'x' << s.area << " at " << i);
      }
    };
    expect_equal(got.maps, want.maps, 1, "maps");
    expect_equal(got.grad_input, want.grad_input, 1, "grad_input");
    expect_equal(got.grad_weight, want.grad_weight, 2, "grad_weight");
  }
}

TEMPLATE_TEST_CASE_METHOD(ProjectionTensorTest, "ProjectionTensorTest.NumbersWithinTheirBound", "", Bfloat16, Tf32) {
  for (const Shape& s : kShapes) {
    const Inputs<TestType> in(s, static_cast<unsigned>(100 + s.area), false);
    const Results<TestType> got(in);
    const Definition<TestType> want(in);
    const auto expect_bounded = [&](const std::vector<float>& values, const std::vector<Reference>& expected,
                                    double times, double depth, const char* what, auto stored_as) {
      std::vector<Bounded> bounded;
      for (const Reference& r : expected)
        bounded.push_back(stored_bound<decltype(stored_as)>({times * r.value, times * sum_bound(depth, r.magnitude)}));
      expect_within(values, bounded,
                    fmt::format("{} {} [{}][{}][{}]", what, format_name<TestType>(), s.n, s.area, s.ic));
    };
    expect_bounded(got.maps, want.maps, 1, s.ic, "maps", 0.0f);
    expect_bounded(got.grad_input, want.grad_input, 1, kMaps, "grad_input", kernels::Stored<TestType>{});
    expect_bounded(got.grad_weight, want.grad_weight, 2, s.n * s.area, "grad_weight", 0.0f);
  }
}

TEMPLATE_TEST_CASE_METHOD(ProjectionTensorTest, "ProjectionTensorTest.RoundsToNearest", "", Bfloat16, Tf32) {
  const auto values = uniform(52, 9, -300.0f, 300.0f);
  const DeviceArray<float> on(values);
  const auto got = result_of<TestType>(values.size(), [&](TestType* output, kernels::Stream stream) {
    kernels::round_values<TestType>(output, on.data(), values.size(), stream);
  });
  for (std::size_t i = 0; i < values.size(); ++i)
    QUICK_REQUIRE(got[i].bits == kernels::round_to<TestType>(values[i]).bits, i);
}

TEMPLATE_TEST_CASE_METHOD(ProjectionTensorTest, "ProjectionTensorTest.RefusesShapesItCannotTile", "", Bfloat16, Tf32) {
  using T = TestType;
  CHECK_THROWS_AS(kernels::projection_tensor<T>(nullptr, nullptr, nullptr, 1, 4, 64, nullptr), Error);
  CHECK_THROWS_AS(kernels::projection_input_tensor<T>(nullptr, nullptr, nullptr, 0, 128, nullptr), Error);
  CHECK_THROWS_AS(kernels::projection_weight_tensor<T>(nullptr, nullptr, nullptr, nullptr, 4, 64, false, nullptr),
                  Error);
  CHECK_THROWS_AS(kernels::round_values<T>(nullptr, nullptr, 3, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
