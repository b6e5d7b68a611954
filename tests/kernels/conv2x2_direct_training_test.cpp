#include "kernels/conv2x2_direct_training.h"

#include "kernels/transpose.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using kernels::Conv2x2Shape;
using Conv2x2BackwardTest = KernelTest;

struct Inputs {
  Inputs(const Conv2x2Shape& shape, unsigned seed)
      : s(shape),
        input(uniform(static_cast<std::size_t>(s.n) * s.h * s.w * s.ic, seed)),
        weight(uniform(static_cast<std::size_t>(4) * s.ic * s.oc, seed + 1)),
        grad(static_cast<std::size_t>(s.n) * (s.h + 1) * (s.w + 1) * s.oc),
        inner(uniform(static_cast<std::size_t>(s.n) * (s.h - 1) * (s.w - 1) * s.oc, seed + 2)) {
    for (int image = 0; image < s.n; ++image) {
      for (int y = 0; y < s.h - 1; ++y) {
        for (int x = 0; x < s.w - 1; ++x) {
          for (int o = 0; o < s.oc; ++o) {
            grad[((static_cast<std::size_t>(image) * (s.h + 1) + y + 1) * (s.w + 1) + x + 1) * s.oc + o] =
                g(image, y, x, o);
          }
        }
      }
    }
  }
  float g(int image, int y, int x, int o) const {
    return inner[((static_cast<std::size_t>(image) * (s.h - 1) + y) * (s.w - 1) + x) * s.oc + o];
  }
  Conv2x2Shape s;
  std::vector<float> input, weight, grad, inner;  // grad: inner with its border of zeros
};

// Every product of the forward convolution sends its gradient two ways.
struct Definition {
  explicit Definition(const Inputs& in) : grad_input(in.input.size()), grad_weight(in.weight.size()) {
    const Conv2x2Shape& s = in.s;
    for (int image = 0; image < s.n; ++image) {
      for (int y = 0; y < s.h - 1; ++y) {
        for (int x = 0; x < s.w - 1; ++x) {
          for (int tap = 0; tap < 4; ++tap) {
            for (int c = 0; c < s.ic; ++c) {
              const std::size_t at =
                  ((static_cast<std::size_t>(image) * s.h + y + tap / 2) * s.w + x + tap % 2) * s.ic + c;
              for (int o = 0; o < s.oc; ++o) {
                const std::size_t w = (static_cast<std::size_t>(tap) * s.ic + c) * s.oc + o;
                grad_input[at].add(double{in.g(image, y, x, o)} * in.weight[w]);
                grad_weight[w].add(double{in.g(image, y, x, o)} * in.input[at]);
              }
            }
          }
        }
      }
    }
  }
  std::vector<Reference> grad_input, grad_weight;
};

std::string name(const char* what, const Conv2x2Shape& s, unsigned seed) {
  return fmt::format("{} [{}][{}][{}], {} -> {}, seed {}", what, s.n, s.h, s.w, s.ic, s.oc, seed);
}

void check(const Conv2x2Shape& s, bool tuned) {
  const unsigned seed = static_cast<unsigned>(s.h * 1000 + s.w);
  const Inputs in(s, seed);
  const Definition want(in);
  const DeviceArray<float> input(in.input), weight(in.weight), grad(in.grad), transposed(in.weight.size());
  const double input_depth = 4.0 * s.oc, weight_depth = static_cast<double>(s.n) * (s.h - 1) * (s.w - 1);

  const auto grad_input = result_of<float>(in.input.size(), [&](float* output, kernels::Stream stream) {
    if (tuned) {
      kernels::transpose(transposed.data(), weight.data(), 4, s.ic, s.oc, true, stream);
      kernels::conv2x2_backward_input(output, grad.data(), transposed.data(), s, stream);
    } else {
      kernels::conv2x2_backward_input_naive(output, grad.data(), weight.data(), s, stream);
    }
  });
  expect_close(grad_input, want.grad_input, input_depth, name(tuned ? "input, tuned" : "input, naive", s, seed));

  const DeviceArray<float> scratch(tuned ? kernels::conv2x2_backward_weight_scratch(s) : 1);
  const auto run = [&](float* output, bool accumulate, kernels::Stream stream) {
    if (tuned) {
      kernels::conv2x2_backward_weight(output, scratch.data(), input.data(), grad.data(), s, accumulate, stream);
    } else {
      kernels::conv2x2_backward_weight_naive(output, input.data(), grad.data(), s, accumulate, stream);
    }
  };
  const auto once =
      result_of<float>(in.weight.size(), [&](float* output, kernels::Stream stream) { run(output, false, stream); });
  expect_close(once, want.grad_weight, weight_depth, name(tuned ? "weight, tuned" : "weight, naive", s, seed));

  auto doubled = want.grad_weight;
  for (Reference& r : doubled) r = {2 * r.value, 2 * r.magnitude};
  const DeviceArray<float> output(in.weight.size());
  device::Stream stream(context());
  run(output.data(), false, stream.handle());
  run(output.data(), true, stream.handle());
  stream.synchronize();
  expect_close(output.read(), doubled, weight_depth, name("weight, accumulated", s, seed));
}

TEST_CASE_METHOD(Conv2x2BackwardTest, "Conv2x2BackwardTest.NaiveEqualsTheDefinition") {
  for (const Conv2x2Shape& s : {Conv2x2Shape{1, 2, 2, 1, 1}, {2, 3, 5, 3, 7}, {3, 6, 4, 5, 3}}) check(s, false);
}

// One position; two slices of 53 and 52; equal slices; 64 and 128 columns of the input's gradient; two taps in a tile,
// and one.
TEST_CASE_METHOD(Conv2x2BackwardTest, "Conv2x2BackwardTest.TunedEqualsTheDefinition") {
  for (const Conv2x2Shape& s :
       {Conv2x2Shape{1, 2, 2, 64, 128}, {3, 6, 8, 64, 128}, {3, 5, 9, 128, 128}, {1, 12, 13, 64, 256}})
    check(s, true);
}

TEST_CASE_METHOD(Conv2x2BackwardTest, "Conv2x2BackwardTest.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(kernels::conv2x2_backward_input(nullptr, nullptr, nullptr, {1, 4, 4, 32, 128}, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_backward_weight(nullptr, nullptr, nullptr, nullptr, {1, 4, 4, 64, 64}, false, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_backward_weight(nullptr, nullptr, nullptr, nullptr, {1, 1, 4, 64, 128}, false, nullptr), Error);
}

}  // namespace
}  // namespace lfm::test
