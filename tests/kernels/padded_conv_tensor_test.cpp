// ResNet's convolutions on tensor cores, in every format.
#include "kernels/padded_conv_tensor.h"

#include <algorithm>
#include <limits>

#include "lfm/error.h"
#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using kernels::Bfloat16;
using kernels::Half;
using kernels::PaddedConv;
using kernels::Tf32;

struct Case {
  int n, h, w, ic, oc, kernel, stride;
  bool shortcut, relu;
};

// Windows of which the border cuts off all but the middle, sides and corners; both strides on odd and even sides; rows
// that end in a tile, and images that begin in one; both widths of tiles, and several of them.
constexpr Case kCases[] = {{1, 1, 1, 32, 64, 3, 1, false, true},   {3, 7, 6, 64, 64, 3, 1, false, true},
                           {2, 9, 11, 32, 128, 3, 2, true, false}, {2, 9, 10, 64, 256, 1, 2, false, false},
                           {3, 7, 7, 128, 128, 1, 1, true, true},  {1, 13, 12, 32, 192, 1, 1, true, true}};

int out(int side, int stride) { return (side - 1) / stride + 1; }
std::size_t positions(const Case& c) { return static_cast<std::size_t>(c.n) * out(c.h, c.stride) * out(c.w, c.stride); }

template <typename T>
struct Inputs {
  Inputs(const Case& c, unsigned seed, bool exact)
      : input(values_of<T>(static_cast<std::size_t>(c.n) * c.h * c.w * c.ic, seed, exact, 2)),
        weight(values_of<T>(static_cast<std::size_t>(c.kernel) * c.kernel * c.ic * c.oc, seed + 1, exact, 8)),
        bias(values_of<T>(static_cast<std::size_t>(c.oc), seed + 2, exact, 2)),
        shortcut(values_of<T>(positions(c) * c.oc, seed + 3, exact, 2)) {}
  std::vector<float> input, weight, bias, shortcut;  // the weight [oc][ic][kernel][kernel]
};

// In double, [n][oh][ow][oc].
template <typename T>
std::vector<Reference> definition(const Case& c, const Inputs<T>& in) {
  std::vector<Reference> all;
  const int oh = out(c.h, c.stride), ow = out(c.w, c.stride), taps = c.kernel * c.kernel;
  for (int at = 0; at < c.n * oh * ow; ++at) {
    for (int o = 0; o < c.oc; ++o) {
      Reference sum;
      for (int tap = 0; tap < taps; ++tap) {
        const int y = at / ow % oh * c.stride + tap / c.kernel - c.kernel / 2,
                  x = at % ow * c.stride + tap % c.kernel - c.kernel / 2;
        if (y < 0 || y >= c.h || x < 0 || x >= c.w) continue;
        const float* position = &in.input[((at / (oh * ow) * c.h + y) * c.w + x) * c.ic];
        for (int i = 0; i < c.ic; ++i) sum.add(double{position[i]} * in.weight[(o * c.ic + i) * taps + tap]);
      }
      sum.add(in.bias[o]);
      if (c.shortcut) sum.add(in.shortcut[all.size()]);
      if (c.relu) sum.value = std::max(sum.value, 0.0);
      all.push_back(sum);
    }
  }
  return all;
}

/// What the kernel leaves: an output of T, and the same as maps, back in [n][oh][ow][oc].
template <typename T>
struct Results {
  Results(const Case& c, const Inputs<T>& in) {
    const DeviceArray<T> input(rounded<T>(in.input)), shortcut(rounded<T>(in.shortcut)),
        weight(pack_padded_conv<T>(in.weight, c.oc, c.ic, c.kernel * c.kernel));
    const DeviceArray<float> bias(in.bias);
    PaddedConv<T> conv{nullptr,  input.data(), weight.data(), bias.data(), c.shortcut ? shortcut.data() : nullptr,
                       c.n,      c.h,          c.w,           c.ic,        c.oc,
                       c.kernel, c.stride,     c.relu};
    const auto stored = result_of<T>(positions(c) * c.oc, [&](T* to, kernels::Stream stream) {
      conv.output = to;
      kernels::padded_conv_tensor(conv, stream);
    });
    for (const T v : stored) output.push_back(kernels::to_float(v));
    const auto planes = result_of<float>(output.size(), [&](float* to, kernels::Stream stream) {
      conv.maps = to;
      kernels::padded_conv_tensor(conv, stream);
    });
    const std::size_t area = positions(c) / c.n, oc = static_cast<std::size_t>(c.oc);
    for (std::size_t i = 0; i < planes.size(); ++i)
      maps.push_back(planes[(i / oc / area * oc + i % oc) * area + i / oc % area]);
  }
  std::vector<float> output, maps;
};

template <typename T>
std::string name_of(const Case& c) {
  return fmt::format("{} [{}][{}][{}][{}] -> {}, {}x{} by {}", format_name<T>(), c.n, c.h, c.w, c.ic, c.oc, c.kernel,
                     c.kernel, c.stride);
}

template <typename T>
struct PaddedConvTensorTest : TensorKernelTest<T> {};

TEMPLATE_TEST_CASE_METHOD(PaddedConvTensorTest, "PaddedConvTensorTest.IntegersExactly", "", Half, Bfloat16, Tf32) {
  for (const Case& c : kCases) {
    const Inputs<TestType> in(c, static_cast<unsigned>(c.h * 100 + c.w), true);
    const Results<TestType> got(c, in);
    const auto want = definition(c, in);
    for (std::size_t i = 0; i < want.size(); ++i) {
      const float exact = static_cast<float>(want[i].value);
      QUICK_REQUIRE(got.maps[i] == exact, name_of<TestType>(c) << ", maps at " << i);
      QUICK_REQUIRE(got.output[i] == kernels::to_float(kernels::round_to<TestType>(exact)), name_of<TestType>(c)
                                                                                                << " at " << i);
    }
  }
}

TEMPLATE_TEST_CASE_METHOD(PaddedConvTensorTest, "PaddedConvTensorTest.NumbersWithinTheirBound", "", Half, Bfloat16,
                          Tf32) {
  for (const Case& c : kCases) {
    const Inputs<TestType> in(c, static_cast<unsigned>(c.h * 100 + c.w + 1), false);
    const Results<TestType> got(c, in);
    std::vector<Bounded> maps, output;
    for (const Reference& r : definition(c, in)) {
      const double limit = sum_bound(c.kernel * c.kernel * c.ic + 2.0, r.magnitude);
      maps.push_back({r.value, limit});
      output.push_back({r.value, limit + kernels::kUnitRoundoff<TestType> * (std::abs(r.value) + limit)});
    }
    expect_within(got.maps, maps, name_of<TestType>(c) + ", maps");
    expect_within(got.output, output, name_of<TestType>(c));
  }
}

TEMPLATE_TEST_CASE_METHOD(PaddedConvTensorTest, "PaddedConvTensorTest.AddsInPlace", "", Half, Bfloat16, Tf32) {
  const Case c{2, 6, 7, 32, 128, 1, 1, true, true};
  const Inputs<TestType> in(c, 4, true);
  const DeviceArray<TestType> input(rounded<TestType>(in.input)), maps(rounded<TestType>(in.shortcut)),
      weight(pack_padded_conv<TestType>(in.weight, c.oc, c.ic, 1));
  const DeviceArray<float> bias(in.bias);
  device::Stream stream(context());
  kernels::padded_conv_tensor<TestType>(
      {maps.data(), input.data(), weight.data(), bias.data(), maps.data(), c.n, c.h, c.w, c.ic, c.oc}, stream.handle());
  stream.synchronize();
  const auto got = maps.read();
  const auto want = definition(c, in);
  for (std::size_t i = 0; i < got.size(); ++i)
    QUICK_REQUIRE(got[i].bits == kernels::round_to<TestType>(static_cast<float>(want[i].value)).bits, i);
}

TEMPLATE_TEST_CASE_METHOD(PaddedConvTensorTest, "PaddedConvTensorTest.RefusesShapesItCannotTile", "", Half, Bfloat16,
                          Tf32) {
  const auto refused = [](const PaddedConv<TestType>& conv) {
    CHECK_THROWS_AS(kernels::padded_conv_tensor(conv, nullptr), Error);
  };
  PaddedConv<TestType> conv;
  conv.n = 1, conv.h = 4, conv.w = 4, conv.ic = 8, conv.oc = 64;
  refused(conv);
  conv.ic = 32, conv.oc = 96;
  refused(conv);
  conv.oc = 64, conv.kernel = 2;
  refused(conv);
  conv.kernel = 3, conv.stride = 3;
  refused(conv);
  conv.stride = 1, conv.h = 0;
  refused(conv);
  conv.h = conv.w = 40000;  // positions fit, values do not
  refused(conv);
}

}  // namespace
}  // namespace lfm::test
