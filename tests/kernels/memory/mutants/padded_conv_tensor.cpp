#include "kernels/padded_conv_tensor.h"

#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

using kernels::Half;

const char* const kMutant = "padded_conv_tensor";
const double kSectors = 1.009;  // biases, half a sector a load

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 8, w = 16, ic = 64, oc = 64;  // one whole tile of 128 rows, 18 stages: the ring comes round
  const auto values = random_values<Half>(h * w * ic, 1);
  const auto weights = to_floats(random_values<Half>(9 * ic * oc, 2));
  const std::vector<Half> packed = pack_padded_conv<Half>(weights, oc, ic, 9);
  const WatchedArray<Half> input(checker, "input", values.size(), 0), weight(checker, "weight", packed.size(), 0),
      output(checker, "output", h * w * oc);
  const WatchedArray<float> bias(checker, "bias", oc, 0);
  std::copy(values.begin(), values.end(), input.data());
  std::copy(packed.begin(), packed.end(), weight.data());
  kernels::padded_conv_tensor<Half>({output, input, weight, bias, nullptr, 1, h, w, ic, oc, 3, 1, false}, nullptr);

  double worst = 0;
  for (int at = 0; at < h * w * oc; ++at) {
    const int o = at % oc, y = at / oc / w, x = at / oc % w;
    double sum = 0;
    for (int tap = 0; tap < 9; ++tap) {
      const int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      for (int c = 0; c < ic; ++c) {
        sum += static_cast<double>(kernels::to_float(values[static_cast<std::size_t>((row * w + column) * ic + c)])) *
               static_cast<double>(weights[static_cast<std::size_t>((o * ic + c) * 9 + tap)]);
      }
    }
    worst = std::max(worst, deviation(kernels::to_float(output.data()[at]), sum));
  }
  return worst;
}

}  // namespace lfm::test
