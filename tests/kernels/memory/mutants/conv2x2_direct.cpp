#include "kernels/conv2x2_direct.h"

#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

const char* const kMutant = "conv2x2_direct";
const double kSectors = 1.0;

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 9, w = 17, ic = 16, oc = 128;  // one whole tile of 128 rows, eight slabs
  const WatchedArray<float> input(checker, "input", h * w * ic, 1), weight(checker, "weight", 4 * ic * oc, 2),
      bias(checker, "bias", oc, 0);
  const WatchedArray<float> output(checker, "output", (h - 1) * (w - 1) * oc);
  kernels::conv2x2_direct({output, input, weight, bias, 1, h, w, ic, oc}, kernels::Epilogue::bias, nullptr);

  const auto right = convolve({input.data(), input.data() + h * w * ic}, {weight.data(), weight.data() + 4 * ic * oc},
                              h, w, ic, oc, [](int tap, int c, int o) { return (tap * ic + c) * oc + o; });
  double worst = 0;
  for (std::size_t i = 0; i < right.size(); ++i) worst = std::max(worst, deviation(output.data()[i], right[i]));
  return worst;
}

}  // namespace lfm::test
