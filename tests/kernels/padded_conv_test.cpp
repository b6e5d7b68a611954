#include "kernels/padded_conv.h"

#include <algorithm>
#include <limits>

#include "lfm/error.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using PaddedConv = kernels::PaddedConv<float>;
using PaddedConvTest = KernelTest;

struct Case {
  int n, h, w, ic, oc, kernel, stride;
};

int out(int side, int stride) { return (side - 1) / stride + 1; }
std::size_t output_count(const Case& c) {
  return static_cast<std::size_t>(c.n) * out(c.h, c.stride) * out(c.w, c.stride) * c.oc;
}

struct Inputs {
  explicit Inputs(const Case& c, unsigned seed)
      : input(uniform(static_cast<std::size_t>(c.n) * c.h * c.w * c.ic, seed)),
        weight(uniform(static_cast<std::size_t>(c.kernel) * c.kernel * c.ic * c.oc, seed + 1)),
        bias(uniform(static_cast<std::size_t>(c.oc), seed + 2)),
        shortcut(uniform(output_count(c), seed + 3)) {}
  std::vector<float> input, weight, bias, shortcut;
};

// In double, [n][oh][ow][oc].
std::vector<Reference> reference(const Case& c, const Inputs& in, bool shortcut, bool relu) {
  std::vector<Reference> all;
  const int padding = c.kernel / 2;
  for (int image = 0; image < c.n; ++image) {
    for (int y = 0; y < out(c.h, c.stride); ++y) {
      for (int x = 0; x < out(c.w, c.stride); ++x) {
        for (int o = 0; o < c.oc; ++o) {
          Reference sum;
          for (int tap = 0; tap < c.kernel * c.kernel; ++tap) {
            const int row = y * c.stride + tap / c.kernel - padding, column = x * c.stride + tap % c.kernel - padding;
            if (row < 0 || row >= c.h || column < 0 || column >= c.w) continue;
            for (int i = 0; i < c.ic; ++i)
              sum.add(double{in.input[((image * c.h + row) * c.w + column) * c.ic + i]} *
                      in.weight[(tap * c.ic + i) * c.oc + o]);
          }
          sum.add(in.bias[o]);
          if (shortcut) sum.add(in.shortcut[all.size()]);
          if (relu) sum.value = std::max(sum.value, 0.0);
          all.push_back(sum);
        }
      }
    }
  }
  return all;
}

std::string name_of(const Case& c) {
  return fmt::format("[{}][{}][{}][{}] -> {}, {}x{} by {}", c.n, c.h, c.w, c.ic, c.oc, c.kernel, c.kernel, c.stride);
}

void check(const Case& c) {
  const Inputs in(c, static_cast<unsigned>(c.h * 1000 + c.w));
  const DeviceArray<float> input(in.input), weight(in.weight), bias(in.bias), shortcut(in.shortcut);
  PaddedConv conv{nullptr, input.data(), weight.data(), bias.data(), nullptr,  c.n,
                  c.h,     c.w,          c.ic,          c.oc,        c.kernel, c.stride};
  for (const bool adds : {false, true}) {
    for (const bool relu : {false, true}) {
      const auto got = result_of<float>(output_count(c), [&](float* output, kernels::Stream stream) {
        conv.output = output;
        conv.shortcut = adds ? shortcut.data() : nullptr;
        conv.relu = relu;
        kernels::padded_conv(conv, stream);
      });
      expect_close(got, reference(c, in, adds, relu), c.kernel * c.kernel * c.ic + 2.0,
                   fmt::format("{}, shortcut {}, relu {}", name_of(c), adds, relu));
    }
  }
}

// Windows of which the border cuts off a side, a corner, all but the middle; both strides on odd and even sides; rows
// that end in a tile, and images that begin in one; both widths of tiles.
TEST_CASE_METHOD(PaddedConvTest, "PaddedConvTest.EqualsTheDefinition") {
  for (const Case& c : {Case{1, 1, 1, 8, 64, 3, 1},
                        {1, 1, 5, 8, 64, 3, 2},
                        {2, 5, 4, 16, 64, 3, 1},
                        {3, 7, 6, 8, 128, 3, 2},
                        {1, 12, 13, 24, 128, 3, 1},
                        {1, 1, 1, 8, 64, 1, 1},
                        {2, 9, 8, 16, 192, 1, 1},
                        {3, 7, 6, 24, 128, 1, 2},
                        {2, 12, 12, 64, 256, 1, 1}})
    check(c);
}

// A bottleneck's last convolution adds to what is there.
TEST_CASE_METHOD(PaddedConvTest, "PaddedConvTest.AddsInPlace") {
  const Case c{2, 6, 7, 16, 128, 1, 1};
  const Inputs in(c, 4);
  const DeviceArray<float> input(in.input), weight(in.weight), bias(in.bias), maps(in.shortcut);
  device::Stream stream(context());
  kernels::padded_conv({maps.data(), input.data(), weight.data(), bias.data(), maps.data(), c.n, c.h, c.w, c.ic, c.oc},
                       stream.handle());
  stream.synchronize();
  expect_close(maps.read(), reference(c, in, true, true), c.ic + 2.0, name_of(c) + ", in place");
}

// Areas that are and are not multiples of 4; images whose border lies inside a thread's rows.
TEST_CASE_METHOD(PaddedConvTest, "PaddedConvTest.StoresMapsForPooling") {
  for (const Case& c : {Case{3, 3, 5, 8, 64, 1, 1}, {2, 6, 6, 16, 256, 1, 1}, {1, 13, 11, 8, 128, 1, 1}}) {
    const Inputs in(c, static_cast<unsigned>(c.h));
    const DeviceArray<float> input(in.input), weight(in.weight), bias(in.bias), shortcut(in.shortcut);
    const auto got = result_of<float>(output_count(c), [&](float* output, kernels::Stream stream) {
      PaddedConv conv{nullptr, input.data(), weight.data(), bias.data(), shortcut.data(), c.n, c.h, c.w, c.ic, c.oc};
      conv.maps = output;
      kernels::padded_conv(conv, stream);
    });
    const auto rows = reference(c, in, true, true);
    std::vector<Reference> want;
    const int area = c.h * c.w;
    for (int image = 0; image < c.n; ++image) {
      for (int o = 0; o < c.oc; ++o) {
        for (int p = 0; p < area; ++p) want.push_back(rows[static_cast<std::size_t>((image * area + p) * c.oc + o)]);
      }
    }
    expect_close(got, want, c.ic + 2.0, name_of(c) + ", by channels");
  }
}

TEST_CASE_METHOD(PaddedConvTest, "PaddedConvTest.NotANumberComesThrough") {
  const Case c{1, 5, 5, 8, 64, 3, 1};
  Inputs in(c, 1);
  in.input[(2 * c.w + 3) * c.ic + 5] = std::numeric_limits<float>::quiet_NaN();
  const DeviceArray<float> input(in.input), weight(in.weight), bias(in.bias);
  const auto got = result_of<float>(output_count(c), [&](float* output, kernels::Stream stream) {
    kernels::padded_conv({output, input.data(), weight.data(), bias.data(), nullptr, 1, c.h, c.w, c.ic, c.oc, 3},
                         stream);
  });
  for (int p = 0; p < c.h * c.w; ++p) {
    const bool sees = std::abs(p / c.w - 2) <= 1 && std::abs(p % c.w - 3) <= 1;
    CHECK_MESSAGE(std::isnan(got[static_cast<std::size_t>(p * c.oc + 9)]) == sees, "position " << p);
  }
}

TEST_CASE_METHOD(PaddedConvTest, "PaddedConvTest.RefusesShapesItCannotTile") {
  const auto refused = [](const PaddedConv& conv) { CHECK_THROWS_AS(kernels::padded_conv(conv, nullptr), Error); };
  PaddedConv conv;
  conv.n = 1, conv.h = 4, conv.w = 4, conv.ic = 12, conv.oc = 64;
  refused(conv);
  conv.ic = 8, conv.oc = 96;
  refused(conv);
  conv.oc = 64, conv.kernel = 2;
  refused(conv);
  conv.kernel = 3, conv.stride = 3;
  refused(conv);
  float maps = 0;
  conv.stride = 1, conv.maps = &maps;
  refused(conv);
  conv.maps = nullptr, conv.h = 0;
  refused(conv);
  conv.h = conv.w = 40000;  // positions fit, values do not
  refused(conv);
}

}  // namespace
}  // namespace lfm::test
