#include <algorithm>
#include <limits>
#include <tuple>

#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_winograd.h"
#include "lfm/error.h"
#include "src/engine/cuda/pack.h"
#include "tests/kernels/device_array.h"

namespace lfm::test {
namespace {

using kernels::Conv2x2;
using kernels::Epilogue;

struct Case {
  int n, h, w, ic, oc;
};

struct Inputs {
  explicit Inputs(const Case& c, unsigned seed)
      : input(uniform(static_cast<std::size_t>(c.n) * c.h * c.w * c.ic, seed)),
        weight(uniform(static_cast<std::size_t>(4) * c.ic * c.oc, seed + 1)),
        bias(uniform(static_cast<std::size_t>(c.oc), seed + 2)) {}
  std::vector<float> input, weight, bias;
};

int divisor(Epilogue epilogue) { return epilogue == Epilogue::bias_relu_pool ? 2 : 1; }

std::size_t output_count(const Case& c, Epilogue epilogue) {
  return static_cast<std::size_t>(c.n) * ((c.h - 1) / divisor(epilogue)) * ((c.w - 1) / divisor(epilogue)) * c.oc;
}

enum class Method { direct, winograd };

// What Winograd's method sums in place of an output's absolute products: for each of its four points the absolute
// inputs that the point combines times the absolute weights. In one dimension points 0, 1, 2 take d0 and d1, d1, d1 and
// d2; and g0, both, g1. (y, x): of the window.
double winograd_magnitude(const double (&input)[3][3], const double (&weight)[2][2], int y, int x) {
  static constexpr bool takes_input[3][3] = {{true, true, false}, {false, true, false}, {false, true, true}};
  static constexpr bool takes_weight[3][2] = {{true, false}, {true, true}, {false, true}};
  double sum = 0;
  for (const int py : {y, y + 1}) {
    for (const int px : {x, x + 1}) {
      double v = 0, u = 0;
      for (int i = 0; i < 9; ++i)
        v += takes_input[py][i / 3] && takes_input[px][i % 3] ? std::abs(input[i / 3][i % 3]) : 0;
      for (int i = 0; i < 4; ++i)
        u += takes_weight[py][i / 2] && takes_weight[px][i % 2] ? std::abs(weight[i / 2][i % 2]) : 0;
      sum += v * u;
    }
  }
  return sum;
}

// Convolution, bias, ReLU and pooling one after the other, in double.
std::vector<Reference> reference(const Case& c, const Inputs& in, Epilogue epilogue, Method method) {
  const auto value = [&](int image, int y, int x, int i) {
    return y < c.h && x < c.w ? double{in.input[((image * c.h + y) * c.w + x) * c.ic + i]} : 0.0;
  };
  const auto convolve = [&](int image, int y, int x, int o) {
    Reference sum;
    for (int tap = 0; tap < 4; ++tap) {
      for (int i = 0; i < c.ic; ++i)
        sum.add(value(image, y + tap / 2, x + tap % 2, i) * in.weight[(tap * c.ic + i) * c.oc + o]);
    }
    if (method == Method::winograd) {
      sum.magnitude = 0;
      for (int i = 0; i < c.ic; ++i) {
        double input[3][3], weight[2][2];
        for (int at = 0; at < 9; ++at) input[at / 3][at % 3] = value(image, y / 2 * 2 + at / 3, x / 2 * 2 + at % 3, i);
        for (int tap = 0; tap < 4; ++tap) weight[tap / 2][tap % 2] = in.weight[(tap * c.ic + i) * c.oc + o];
        sum.magnitude += winograd_magnitude(input, weight, y % 2, x % 2);
      }
    }
    sum.add(in.bias[o]);
    if (epilogue != Epilogue::bias) sum.value = std::max(sum.value, 0.0);
    return sum;
  };
  std::vector<Reference> out;
  const int d = divisor(epilogue);
  for (int image = 0; image < c.n; ++image) {
    for (int y = 0; y < (c.h - 1) / d; ++y) {
      for (int x = 0; x < (c.w - 1) / d; ++x) {
        for (int o = 0; o < c.oc; ++o) {
          Reference best = convolve(image, d * y, d * x, o);
          for (int i = 1; i < d * d; ++i) {
            const Reference other = convolve(image, d * y + i / 2, d * x + i % 2, o);
            best.value = std::max(best.value, other.value);
            best.magnitude = std::max(best.magnitude, other.magnitude);
          }
          out.push_back(best);
        }
      }
    }
  }
  return out;
}

// The kernels, and the weights as each reads them.
struct Variant {
  const char* name;
  void (*launch)(const Conv2x2&, Epilogue, kernels::Stream);
  Method method = Method::direct;

  std::vector<float> packed(const Case& c, const Inputs& in) const {
    return method == Method::direct ? in.weight : pack_winograd(unpack_weight(in.weight, c.oc, c.ic, 4), c.oc, c.ic);
  }
};
constexpr Variant kNaive{"naive", kernels::conv2x2_naive}, kTuned{"tuned", kernels::conv2x2_direct},
    kWinograd{"Winograd", kernels::conv2x2_winograd, Method::winograd};

void check(const Case& c, const Variant& variant) {
  const unsigned seed = static_cast<unsigned>(c.h * 1000 + c.w);
  const Inputs in(c, seed);
  const DeviceArray<float> input(in.input), weight(variant.packed(c, in)), bias(in.bias);
  for (const Epilogue epilogue : {Epilogue::bias, Epilogue::bias_relu, Epilogue::bias_relu_pool}) {
    if ((c.h - 1) / divisor(epilogue) == 0 || (c.w - 1) / divisor(epilogue) == 0) continue;
    const auto got = result_of<float>(output_count(c, epilogue), [&](float* output, kernels::Stream stream) {
      variant.launch({output, input.data(), weight.data(), bias.data(), c.n, c.h, c.w, c.ic, c.oc}, epilogue, stream);
    });
    expect_close(got, reference(c, in, epilogue, variant.method), 4.0 * c.ic + 1,
                 fmt::format("{} [{}][{}][{}][{}] -> {}, epilogue {}, seed {}", variant.name, c.n, c.h, c.w, c.ic, c.oc,
                             static_cast<int>(epilogue), seed));
  }
}

using Conv2x2Test = KernelTest;

TEST_CASE_METHOD(Conv2x2Test, "Conv2x2Test.NaiveEqualsTheDefinition") {
  for (const Case& c : {Case{1, 2, 2, 1, 1}, {2, 3, 5, 3, 7}, {3, 6, 4, 5, 3}, {1, 9, 7, 3, 64}}) check(c, kNaive);
}

// One row, tiles with a tail, windows over image borders, odd sizes whose last row or column no window reads.
TEST_CASE_METHOD(Conv2x2Test, "Conv2x2Test.TunedEqualsTheDefinition") {
  for (const Case& c :
       {Case{1, 2, 2, 8, 128}, {3, 5, 4, 16, 128}, {1, 15, 13, 8, 256}, {5, 7, 7, 24, 128}, {2, 12, 12, 64, 128}}) {
    check(c, kTuned);
  }
}

// One window, half windows at the edges, more windows than a tile, few slabs of channels, several blocks of output
// channels, several images.
TEST_CASE_METHOD(Conv2x2Test, "Conv2x2Test.WinogradEqualsTheDefinition") {
  for (const Case& c : {Case{1, 2, 2, 8, 64},
                        {1, 3, 3, 8, 64},
                        {3, 5, 4, 16, 128},
                        {2, 18, 35, 8, 64},
                        {2, 8, 21, 24, 192},
                        {1, 17, 17, 64, 64}}) {
    check(c, kWinograd);
  }
}

// A thread's maximum and ReLU would hide a weight that is no number; the score must show it.
TEST_CASE_METHOD(Conv2x2Test, "Conv2x2Test.NotANumberComesThrough") {
  const Case c{1, 5, 5, 8, 128};
  Inputs in(c, 1);
  in.input[(2 * c.w + 3) * c.ic + 5] = std::numeric_limits<float>::quiet_NaN();
  for (const Variant& variant : {kNaive, kTuned, kWinograd}) {
    const DeviceArray<float> input(in.input), weight(variant.packed(c, in)), bias(in.bias);
    const auto got =
        result_of<float>(output_count(c, Epilogue::bias_relu_pool), [&](float* output, kernels::Stream stream) {
          variant.launch({output, input.data(), weight.data(), bias.data(), c.n, c.h, c.w, c.ic, c.oc},
                         Epilogue::bias_relu_pool, stream);
        });
    for (int i = 0; i < 4; ++i)
      CHECK_MESSAGE(std::isnan(got[i * c.oc + 9]) == (i != 0 && i != 2), variant.name << ", window " << i);
  }
}

TEST_CASE_METHOD(Conv2x2Test, "Conv2x2Test.RefusesShapesItCannotTile") {
  CHECK_THROWS_AS(
      kernels::conv2x2_direct({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 3, 128}, Epilogue::bias, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_direct({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 8, 64}, Epilogue::bias, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_direct({nullptr, nullptr, nullptr, nullptr, 1, 1, 4, 8, 128}, Epilogue::bias, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_direct({nullptr, nullptr, nullptr, nullptr, 1, 2, 4, 8, 128}, Epilogue::bias_relu_pool, nullptr),
      Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_winograd({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 12, 64}, Epilogue::bias, nullptr), Error);
  CHECK_THROWS_AS(
      kernels::conv2x2_winograd({nullptr, nullptr, nullptr, nullptr, 1, 4, 4, 8, 96}, Epilogue::bias, nullptr), Error);
  CHECK_THROWS_AS(kernels::conv2x2_winograd({nullptr, nullptr, nullptr, nullptr, 1, 2, 4, 8, 64},
                                            Epilogue::bias_relu_pool, nullptr),
                  Error);
}

}  // namespace
}  // namespace lfm::test
