#include "kernels/conv2x2_tensor.h"

#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

using kernels::Half;

const char* const kMutant = "conv2x2_tensor";
const double kSectors = 1.02;  // biases, half a sector a load

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 6, w = 9, ic = 64, oc = 128;  // eight stages of weights: the ring comes round
  const auto values = random_values<Half>(h * w * ic, 1);
  const auto weights = to_floats(random_values<Half>(4 * ic * oc, 2));
  const std::vector<Half> packed = pack_tensor_conv<Half>(weights, oc, ic);
  const auto right = pool(
      convolve(to_floats(values), weights, h, w, ic, oc, [](int tap, int c, int o) { return (o * ic + c) * 4 + tap; }),
      h - 1, w - 1, oc);

  const WatchedArray<Half> input(checker, "input", values.size(), 0), weight(checker, "weight", packed.size(), 0);
  const WatchedArray<float> bias(checker, "bias", oc, 0);
  const WatchedArray<Half> output(checker, "output", right.size());
  std::copy(values.begin(), values.end(), input.data());
  std::copy(packed.begin(), packed.end(), weight.data());
  kernels::conv2x2_tensor<Half>({output, input, weight, bias, 1, h, w, ic, oc}, nullptr);

  double worst = 0;
  for (std::size_t i = 0; i < right.size(); ++i)
    worst = std::max(worst, deviation(kernels::to_float(output.data()[i]), right[i]));
  return worst;
}

}  // namespace lfm::test
