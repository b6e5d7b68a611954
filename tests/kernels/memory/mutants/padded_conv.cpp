#include "kernels/padded_conv.h"

#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

const char* const kMutant = "padded_conv";
const double kSectors = 1.0;

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 8, w = 16, ic = 16, oc = 64;  // one whole tile of 128 rows, 18 slabs
  const WatchedArray<float> input(checker, "input", h * w * ic, 1), weight(checker, "weight", 9 * ic * oc, 2),
      bias(checker, "bias", oc, 0), shortcut(checker, "shortcut", h * w * oc, 3);
  const WatchedArray<float> output(checker, "output", h * w * oc);
  kernels::padded_conv({output, input, weight, bias, shortcut, 1, h, w, ic, oc, 3, 1, false}, nullptr);

  double worst = 0;
  for (int at = 0; at < h * w * oc; ++at) {
    const int o = at % oc, y = at / oc / w, x = at / oc % w;
    double sum = static_cast<double>(shortcut.data()[at]);
    for (int tap = 0; tap < 9; ++tap) {
      const int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      for (int c = 0; c < ic; ++c) {
        sum += static_cast<double>(input.data()[(row * w + column) * ic + c]) *
               static_cast<double>(weight.data()[(tap * ic + c) * oc + o]);
      }
    }
    worst = std::max(worst, deviation(output.data()[at], sum));
  }
  return worst;
}

}  // namespace lfm::test
