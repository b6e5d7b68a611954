#include "kernels/conv2x2_winograd.h"

#include "src/engine/cuda/pack.h"
#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

const char* const kMutant = "conv2x2_winograd";
const double kSectors = 1.23;  // half a sector of a position a slab

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 18, w = 12, ic = 16, oc = 64;  // four slabs; windows beyond the border
  const auto weights = to_floats(random_values<kernels::Tf32>(4 * ic * oc, 2));
  const std::vector<float> packed = pack_winograd(weights, oc, ic);
  const WatchedArray<float> input(checker, "input", h * w * ic, 1), weight(checker, "weight", packed.size(), 0),
      bias(checker, "bias", oc, 0);
  const WatchedArray<float> output(checker, "output", (h - 1) / 2 * ((w - 1) / 2) * oc);
  std::copy(packed.begin(), packed.end(), weight.data());
  kernels::conv2x2_winograd({output, input, weight, bias, 1, h, w, ic, oc}, kernels::Epilogue::bias_relu_pool, nullptr);

  const auto right = pool(convolve({input.data(), input.data() + h * w * ic}, weights, h, w, ic, oc,
                                   [](int tap, int c, int o) { return (o * ic + c) * 4 + tap; }),
                          h - 1, w - 1, oc);
  double worst = 0;
  for (std::size_t i = 0; i < right.size(); ++i) worst = std::max(worst, deviation(output.data()[i], right[i]));
  return worst;
}

}  // namespace lfm::test
