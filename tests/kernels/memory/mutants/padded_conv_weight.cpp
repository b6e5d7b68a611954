#include "kernels/padded_conv_weight.h"

#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

const char* const kMutant = "padded_conv_backward_weight";
const double kSectors = 1.0;

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int n = 2, h = 9, w = 7, ic = 64, oc = 64, stride = 2, out_h = 5, out_w = 4;  // slabs cross images
  const kernels::PaddedConvShape shape{n, h, w, ic, oc, 3, stride};
  const WatchedArray<float> input(checker, "input", n * h * w * ic, 1),
      grad_output(checker, "grad_output", n * out_h * out_w * oc, 2),
      scratch(checker, "scratch", kernels::padded_conv_backward_weight_scratch(shape)),
      grad_weight(checker, "grad_weight", 9 * ic * oc);
  kernels::padded_conv_backward_weight(grad_weight, scratch, input, grad_output, shape, false, nullptr);

  double worst = 0;
  for (int tap = 0; tap < 9; ++tap) {
    for (int c = 0; c < ic; c += 5) {
      for (int o = 0; o < oc; ++o) {
        double sum = 0;
        for (int at = 0; at < n * out_h * out_w; ++at) {
          const int image = at / out_w / out_h, y = at / out_w % out_h * stride + tap / 3 - 1,
                    x = at % out_w * stride + tap % 3 - 1;
          if (y < 0 || y >= h || x < 0 || x >= w) continue;
          sum += static_cast<double>(input[((image * h + y) * w + x) * ic + c]) *
                 static_cast<double>(grad_output[at * oc + o]);
        }
        worst = std::max(worst, deviation(grad_weight[(tap * ic + c) * oc + o], sum));
      }
    }
  }
  return worst;
}

}  // namespace lfm::test
