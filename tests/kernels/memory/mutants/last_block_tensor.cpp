#include "kernels/last_block_tensor.h"

#include "src/engine/cuda/tensor_pack.h"
#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

using kernels::Half;

const char* const kMutant = "last_block_tensor";
const double kSectors = 1.0;

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 6, w = 9, ic = 32, oc = 256, maps = 64,
                area = (h - 1) * (w - 1);  // two groups of channels, each with its projection
  const auto values = random_values<Half>(h * w * ic, 1);
  const auto weights = to_floats(random_values<Half>(4 * ic * oc, 2)),
             projection = to_floats(random_values<Half>(maps * oc, 3));
  const std::vector<Half> packed = pack_tensor_last_block<Half>(weights, projection, oc, ic);
  const auto convolved =
      convolve(to_floats(values), weights, h, w, ic, oc, [](int tap, int c, int o) { return (o * ic + c) * 4 + tap; });

  const WatchedArray<Half> input(checker, "input", values.size(), 0), weight(checker, "weight", packed.size(), 0);
  const WatchedArray<float> bias(checker, "bias", oc, 0), output(checker, "maps", maps * area);
  std::copy(values.begin(), values.end(), input.data());
  std::copy(packed.begin(), packed.end(), weight.data());
  kernels::last_block_tensor<Half>({output, input, weight, bias, 1, h, w, ic, oc}, nullptr);

  double worst = 0;
  for (int i = 0; i < maps * area; ++i) {
    const int map = i / area, at = i % area;
    double sum = 0, magnitude = 1;  // the activations are rounded: a sum deviates by a share of its terms
    for (int o = 0; o < oc; ++o) {
      const double term = std::max(0.0, convolved[static_cast<std::size_t>(at * oc + o)]) *
                          static_cast<double>(projection[static_cast<std::size_t>(map * oc + o)]);
      sum += term, magnitude += std::abs(term);
    }
    worst = std::max(worst, std::abs(static_cast<double>(output[i]) - sum) / magnitude);
  }
  return worst;
}

}  // namespace lfm::test
