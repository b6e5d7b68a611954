#include "kernels/padded_conv_weight.h"

#include "kernels/padded_conv.h"
#include "kernels/spread.h"
#include "kernels/transpose.h"
#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using PaddedConvBackwardTest = KernelTest;
using Shape = kernels::PaddedConvShape;

int out(int side, int stride) { return (side - 1) / stride + 1; }

struct Inputs {
  explicit Inputs(const Shape& s, unsigned seed)
      : input(uniform(static_cast<std::size_t>(s.n) * s.h * s.w * s.ic, seed)),
        weight(uniform(static_cast<std::size_t>(s.kernel) * s.kernel * s.ic * s.oc, seed + 1)),
        grad(uniform(static_cast<std::size_t>(s.n) * out(s.h, s.stride) * out(s.w, s.stride) * s.oc, seed + 2)) {}
  std::vector<float> input, weight, grad;
};

// Every product of the forward convolution sends its gradient two ways.
struct Definition {
  Definition(const Shape& s, const Inputs& in) : grad_input(in.input.size()), grad_weight(in.weight.size()) {
    const int oh = out(s.h, s.stride), ow = out(s.w, s.stride), padding = s.kernel / 2;
    for (int position = 0; position < s.n * oh * ow; ++position) {
      const int image = position / ow / oh, y = position / ow % oh, x = position % ow;
      for (int tap = 0; tap < s.kernel * s.kernel; ++tap) {
        const int row = y * s.stride + tap / s.kernel - padding, column = x * s.stride + tap % s.kernel - padding;
        if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
        for (int c = 0; c < s.ic; ++c) {
          const int at = ((image * s.h + row) * s.w + column) * s.ic + c;
          for (int o = 0; o < s.oc; ++o) {
            const int w = (tap * s.ic + c) * s.oc + o;
            const double g = in.grad[static_cast<std::size_t>(position * s.oc + o)];
            grad_input[static_cast<std::size_t>(at)].add(g * in.weight[static_cast<std::size_t>(w)]);
            grad_weight[static_cast<std::size_t>(w)].add(g * in.input[static_cast<std::size_t>(at)]);
          }
        }
      }
    }
  }
  std::vector<Reference> grad_input, grad_weight;
};

std::string name(const char* what, const Shape& s) {
  return fmt::format("{} [{}][{}][{}], {} -> {}, {}x{} by {}", what, s.n, s.h, s.w, s.ic, s.oc, s.kernel, s.kernel,
                     s.stride);
}

void check_weight(const Shape& s, const Inputs& in, std::vector<Reference> want) {
  const DeviceArray<float> input(in.input), grad(in.grad), scratch(kernels::padded_conv_backward_weight_scratch(s));
  const double depth = static_cast<double>(s.n) * out(s.h, s.stride) * out(s.w, s.stride);
  const auto once = result_of<float>(want.size(), [&](float* output, kernels::Stream stream) {
    kernels::padded_conv_backward_weight(output, scratch.data(), input.data(), grad.data(), s, false, stream);
  });
  expect_close(once, want, depth, name("weight", s));

  for (Reference& r : want) r.add(2.0);
  const DeviceArray<float> accumulated(std::vector<float>(want.size(), 2.0f));
  device::Stream stream(context());
  kernels::padded_conv_backward_weight(accumulated.data(), scratch.data(), input.data(), grad.data(), s, true,
                                       stream.handle());
  stream.synchronize();
  expect_close(accumulated.read(), want, depth + 1, name("weight, accumulated", s));
}

// What the header says of the input's gradient.
void check_input(const Shape& s, const Inputs& in, const std::vector<Reference>& want) {
  const DeviceArray<float> weight(in.weight), grad(in.grad), turned(in.weight.size()),
      none(std::vector<float>(static_cast<std::size_t>(s.ic), 0.0f)),
      apart(static_cast<std::size_t>(s.n) * s.h * s.w * s.oc);
  const auto got = result_of<float>(want.size(), [&](float* output, kernels::Stream stream) {
    kernels::transpose(turned.data(), weight.data(), s.kernel * s.kernel, s.ic, s.oc, true, stream);
    if (s.stride == 2) kernels::spread(apart.data(), grad.data(), s.n, s.h, s.w, s.oc, stream);
    const float* from = s.stride == 2 ? apart.data() : grad.data();
    kernels::padded_conv(
        {output, from, turned.data(), none.data(), nullptr, s.n, s.h, s.w, s.oc, s.ic, s.kernel, 1, false}, stream);
  });
  expect_close(got, want, s.kernel * s.kernel * s.oc + 1.0, name("input", s));
}

// One position; slices that end inside an image and a row, equal ones, incomplete ones; windows that the border cuts
// off; both strides on odd and even sides; a tile of one tap, of two, and one that is half full; both widths of tiles.
TEST_CASE_METHOD(PaddedConvBackwardTest, "PaddedConvBackwardTest.EqualsTheDefinition") {
  for (const Shape& s : {Shape{1, 1, 1, 64, 64, 3, 1},
                         {2, 5, 4, 64, 64, 3, 1},
                         {3, 7, 6, 64, 128, 3, 2},
                         {1, 12, 13, 128, 64, 3, 1},
                         {2, 8, 9, 128, 64, 3, 2},
                         {2, 9, 8, 64, 256, 1, 1},
                         {3, 7, 6, 128, 64, 1, 2},
                         {1, 8, 8, 256, 128, 1, 2}}) {
    const Inputs in(s, static_cast<unsigned>(s.h * 100 + s.w));
    const Definition want(s, in);
    check_weight(s, in, want.grad_weight);
    check_input(s, in, want.grad_input);
  }
}

TEST_CASE_METHOD(PaddedConvBackwardTest, "PaddedConvBackwardTest.MorePositionsNeedNoLessScratch") {
  std::size_t before = 0;
  for (int n = 1; n < 40; ++n) {
    const std::size_t floats = kernels::padded_conv_backward_weight_scratch({n, 14, 15, 128, 128, 3, 1});
    CHECK(floats >= before);
    before = floats;
  }
}

TEST_CASE_METHOD(PaddedConvBackwardTest, "PaddedConvBackwardTest.RefusesShapesItCannotTile") {
  const auto refused = [](const Shape& s) {
    CHECK_THROWS_AS(kernels::padded_conv_backward_weight(nullptr, nullptr, nullptr, nullptr, s, false, nullptr), Error);
  };
  refused({1, 4, 4, 32, 64, 1, 1});
  refused({1, 4, 4, 64, 96, 1, 1});
  refused({1, 4, 4, 64, 64, 2, 1});
  refused({1, 4, 4, 64, 64, 3, 3});
  refused({0, 4, 4, 64, 64, 3, 1});
  refused({1, 40000, 40000, 64, 64, 3, 1});
}

}  // namespace
}  // namespace lfm::test
