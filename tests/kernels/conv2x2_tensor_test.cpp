// The tensor-core convolutions: conv2x2 and last_block, by warps and by warpgroups, in every format.
#include "kernels/conv2x2_tensor.h"

#include <algorithm>
#include <limits>

#include "kernels/conv2x2_wgmma.h"
#include "kernels/last_block_tensor.h"
#include "kernels/last_block_wgmma.h"
#include "kernels/tensor_layout.h"
#include "lfm/error.h"
#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/tensor_inputs.h"

namespace lfm::test {
namespace {

using kernels::Bfloat16;
using kernels::Half;
using kernels::kUnitRoundoff;
using kernels::round_to;
using kernels::Tf32;
using kernels::to_float;

constexpr int kMaps = 64;

struct Case {
  int n, h, w, ic, oc;
};

// One window, several tiles either way with a tail, odd sizes whose last row or column no window reads.
constexpr Case kCases[] = {{1, 3, 3, 32, 128}, {2, 11, 18, 64, 128}, {1, 10, 35, 32, 256}};

/// Inputs that the format holds exactly. `exact`: small integers, few of them not 0, so that all sums and results are
/// exact too.
template <typename T>
struct Inputs {
  Inputs(const Case& c, unsigned seed, bool exact)
      : input(values_of<T>(static_cast<std::size_t>(c.n) * c.h * c.w * c.ic, seed, exact, 2)),
        weight(values_of<T>(static_cast<std::size_t>(4) * c.ic * c.oc, seed + 1, exact, 8)),
        bias(values_of<T>(static_cast<std::size_t>(c.oc), seed + 2, exact, 2)),
        projection(values_of<T>(static_cast<std::size_t>(kMaps) * c.oc, seed + 3, exact, 8)) {}

  std::vector<float> input, weight, bias, projection;
};

// max(0, conv + bias) of the whole image [n][h-1][w-1][oc], in double.
template <typename T>
std::vector<Reference> convolved(const Case& c, const Inputs<T>& in) {
  std::vector<Reference> out;
  for (int at = 0; at < c.n * (c.h - 1) * (c.w - 1); ++at) {
    const int image = at / ((c.h - 1) * (c.w - 1)), y = at / (c.w - 1) % (c.h - 1), x = at % (c.w - 1);
    for (int o = 0; o < c.oc; ++o) {
      Reference sum;
      for (int tap = 0; tap < 4; ++tap) {
        const float* position = &in.input[((image * c.h + y + tap / 2) * c.w + x + tap % 2) * c.ic];
        for (int i = 0; i < c.ic; ++i) sum.add(double{position[i]} * in.weight[(o * c.ic + i) * 4 + tap]);
      }
      sum.add(in.bias[o]);
      sum.value = std::max(sum.value, 0.0);
      out.push_back(sum);
    }
  }
  return out;
}

template <typename T>
std::vector<Reference> pooled(const Case& c, const std::vector<Reference>& conv) {
  std::vector<Reference> out;
  for (int image = 0; image < c.n; ++image) {
    for (int y = 0; y < (c.h - 1) / 2; ++y) {
      for (int x = 0; x < (c.w - 1) / 2; ++x) {
        for (int o = 0; o < c.oc; ++o) {
          Reference best;
          for (int i = 0; i < 4; ++i) {
            const Reference& r = conv[((image * (c.h - 1) + 2 * y + i / 2) * (c.w - 1) + 2 * x + i % 2) * c.oc + o];
            best.value = std::max(best.value, r.value);
            best.magnitude = std::max(best.magnitude, r.magnitude);
          }
          out.push_back(best);
        }
      }
    }
  }
  return out;
}

template <typename T>
struct ConvTensorTest : TensorKernelTest<T> {
  std::string name(const char* kernel, const Case& c, unsigned seed) const {
    return fmt::format("{} {} [{}][{}][{}][{}] -> {}, seed {}", kernel, format_name<T>(), c.n, c.h, c.w, c.ic, c.oc,
                       seed);
  }

  // Each by warps, or by warpgroups: conv2x2_wgmma, last_block_wgmma.
  std::vector<float> run_conv2x2(const Case& c, const Inputs<T>& in, bool warpgroups = false) const {
    const auto pack = warpgroups ? pack_wgmma_conv<T> : pack_tensor_conv<T>;
    const DeviceArray<T> input(rounded<T>(in.input)), weight(pack(in.weight, c.oc, c.ic));
    const DeviceArray<float> bias(in.bias);
    const std::size_t count = static_cast<std::size_t>(c.n) * ((c.h - 1) / 2) * ((c.w - 1) / 2) * c.oc;
    std::vector<float> values;
    for (const T v : result_of<T>(count, [&](T*output, kernels::Stream stream) {
           const kernels::Conv2x2Tensor<T> conv{output, input.data(), weight.data(), bias.data(), c.n,
                                                c.h,    c.w,          c.ic,          c.oc};
           (warpgroups ? kernels::conv2x2_wgmma<T> : kernels::conv2x2_tensor<T>)(conv, stream);
         })) {
      values.push_back(to_float(v));
    }
    return values;
  }

  std::vector<float> run_last_block(const Case& c, const Inputs<T>& in, bool split = false,
                                    bool warpgroups = false) const {
    const auto pack = warpgroups ? pack_wgmma_last_block<T> : pack_tensor_last_block<T>;
    const DeviceArray<T> input(rounded<T>(in.input)), weight(pack(in.weight, in.projection, c.oc, c.ic));
    const DeviceArray<float> bias(in.bias);
    const int tiles = split ? c.n * kernels::ConvTile::tiles(c.h - 1, c.w - 1) : 0;
    const DeviceArray<T> scratch(static_cast<std::size_t>(tiles) * 128 * c.oc);
    return result_of<float>(static_cast<std::size_t>(c.n) * kMaps * (c.h - 1) * (c.w - 1), [&](float* maps,
                                                                                               kernels::Stream stream) {
      const kernels::LastBlockTensor<T> block{
          maps, input.data(), weight.data(), bias.data(), c.n, c.h, c.w, c.ic, c.oc, split ? scratch.data() : nullptr};
      (warpgroups ? kernels::last_block_wgmma<T> : kernels::last_block_tensor<T>)(block, stream);
    });
  }

  // maps [n][64][h-1][w-1] of what the convolution gave, which the kernel rounds to T.
  std::vector<Bounded> projected(const Case& c, const Inputs<T>& in, const std::vector<Reference>& conv) const {
    std::vector<Bounded> out;
    const int area = (c.h - 1) * (c.w - 1);
    for (int i = 0; i < c.n * kMaps * area; ++i) {
      const int map = i / area % kMaps, p = i / area / kMaps * area + i % area;
      Bounded sum;
      double magnitude = 0;
      for (int o = 0; o < c.oc; ++o) {
        const Reference& y = conv[p * c.oc + o];
        const double weight = in.projection[map * c.oc + o];
        sum.value += weight * y.value;
        magnitude += std::abs(weight) * y.value;
        sum.limit += std::abs(weight) * (kUnitRoundoff<T> * y.value + 2 * sum_bound(4.0 * c.ic, y.magnitude));
      }
      sum.limit += sum_bound(c.oc, magnitude);
      out.push_back(sum);
    }
    return out;
  }
};

TEMPLATE_TEST_CASE_METHOD(ConvTensorTest, "ConvTensorTest.IntegersExactly", "", Half, Bfloat16, Tf32) {
  for (const Case& c : kCases) {
    const unsigned seed = static_cast<unsigned>(c.h);
    const Inputs<TestType> in(c, seed, true);
    const auto conv = convolved(c, in);
    const auto want = pooled<TestType>(c, conv);
    const auto got = this->run_conv2x2(c, in);
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      QUICK_REQUIRE(got[i] == want[i].value, this->name("conv2x2_tensor", c, seed) << " at " << i);
    const auto maps = this->run_last_block(c, in);
    const auto want_maps = this->projected(c, in, conv);
    REQUIRE(maps.size() == want_maps.size());
    for (std::size_t i = 0; i < maps.size(); ++i)
      QUICK_REQUIRE(maps[i] == want_maps[i].value, this->name("last_block_tensor", c, seed) << " at " << i);
  }
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTest, "ConvTensorTest.NumbersWithinTheirBound", "", Half, Bfloat16, Tf32) {
  for (const Case& c : kCases) {
    const unsigned seed = static_cast<unsigned>(100 + c.h);
    const Inputs<TestType> in(c, seed, false);
    const auto conv = convolved(c, in);
    std::vector<Bounded> want;
    for (const Reference& r : pooled<TestType>(c, conv)) {
      want.push_back({r.value, kUnitRoundoff<TestType> * r.value + 2 * sum_bound(4.0 * c.ic + 1, r.magnitude)});
    }
    expect_within(this->run_conv2x2(c, in), want, this->name("conv2x2_tensor", c, seed));
    const auto maps = this->run_last_block(c, in);
    expect_within(maps, this->projected(c, in, conv), this->name("last_block_tensor", c, seed));
    CHECK_MESSAGE(this->run_last_block(c, in, true) == maps, this->name("last_block_tensor, split", c, seed));
  }
}

// By warpgroups: one slab and one window; an even number of slabs, and tiles cut off below and to the right; an odd
// one, so that the ring and the patches come round, of two images and two groups of channels.
constexpr Case kWarpgroupCases[] = {{1, 3, 3, 32, 128}, {1, 11, 19, 64, 128}, {2, 5, 11, 96, 256}};

template <typename T>
struct WarpgroupTest : ConvTensorTest<T> {
  WarpgroupTest() {
#if !defined(LFM_TARGET_EMULATED)
    constexpr int hopper = 90;
    if (context().capability() != hopper) SKIP("no GPU of compute capability 9.0");
#endif
  }
};

TEMPLATE_TEST_CASE_METHOD(WarpgroupTest, "WarpgroupTest.IntegersExactly", "", Half, Bfloat16, Tf32) {
  for (const Case& c : kWarpgroupCases) {
    const unsigned seed = static_cast<unsigned>(c.h);
    const Inputs<TestType> in(c, seed, true);
    const auto want = pooled<TestType>(c, convolved(c, in));
    const auto got = this->run_conv2x2(c, in, true);
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      QUICK_REQUIRE(got[i] == want[i].value, this->name("conv2x2_wgmma", c, seed) << " at " << i);
    const auto maps = this->run_last_block(c, in, false, true), want_maps = this->run_last_block(c, in);
    CHECK_MESSAGE(maps == want_maps, this->name("last_block_wgmma", c, seed));
  }
}

TEMPLATE_TEST_CASE_METHOD(WarpgroupTest, "WarpgroupTest.NumbersWithinTheirBound", "", Half, Bfloat16, Tf32) {
  const Case c{1, 11, 19, 64, 128};
  const Inputs<TestType> in(c, 200, false);
  std::vector<Bounded> want;
  for (const Reference& r : pooled<TestType>(c, convolved(c, in))) {
    want.push_back({r.value, kUnitRoundoff<TestType> * r.value + 2 * sum_bound(4.0 * c.ic + 1, r.magnitude)});
  }
  expect_within(this->run_conv2x2(c, in, true), want, this->name("conv2x2_wgmma", c, 200));
  const auto maps = this->run_last_block(c, in, false, true);
  expect_within(maps, this->projected(c, in, convolved(c, in)), this->name("last_block_wgmma", c, 200));
  CHECK_MESSAGE(this->run_last_block(c, in, true, true) == maps, this->name("last_block_wgmma, split", c, 200));
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTest, "ConvTensorTest.NotANumberComesThrough", "", Half, Bfloat16, Tf32) {
  const Case c{1, 5, 5, 32, 128};
  Inputs<TestType> in(c, 7, true);
  in.input[(2 * c.w + 3) * c.ic + 5] = std::numeric_limits<float>::quiet_NaN();
  std::fill(in.weight.begin(), in.weight.end(), 1.0f);
  const auto got = this->run_conv2x2(c, in);
  for (int i = 0; i < 4; ++i) CHECK_MESSAGE(std::isnan(got[i * c.oc + 9]) == (i != 0 && i != 2), "window " << i);
  const auto maps = this->run_last_block(c, in);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x)
      CHECK_MESSAGE(std::isnan(maps[y * 4 + x]) == ((y == 1 || y == 2) && x >= 2), y << ' ' << x);
  }
}

TEMPLATE_TEST_CASE_METHOD(ConvTensorTest, "ConvTensorTest.RefusesShapesItCannotTile", "", Half, Bfloat16, Tf32) {
  using T = TestType;
  CHECK_THROWS_AS(kernels::conv2x2_tensor<T>({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 8, 128}, nullptr), Error);
  CHECK_THROWS_AS(kernels::conv2x2_tensor<T>({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 64, 64}, nullptr), Error);
  CHECK_THROWS_AS(kernels::conv2x2_tensor<T>({nullptr, nullptr, nullptr, nullptr, 1, 2, 4, 64, 128}, nullptr), Error);
  CHECK_THROWS_AS(kernels::last_block_tensor<T>({nullptr, nullptr, nullptr, nullptr, 1, 1, 4, 64, 128}, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
