#include "kernels/conv2x2_tensor_weight.h"

#include "tests/kernels/memory/mutants/mutant.h"
#include "tests/kernels/memory/watched_array.h"

namespace lfm::test {

using kernels::Bfloat16;

const char* const kMutant = "conv2x2_tensor_weight";
const double kSectors = 1.0;

double run_mutant(simt::MemoryChecker& checker) {
  constexpr int h = 10, w = 20, ic = 32, oc = 128, out_h = h - 1,
                out_w = w - 1;  // tiles that reach beyond the output on both sides
  const auto values = random_values<Bfloat16>(h * w * ic, 1);
  const auto gradients = random_values<Bfloat16>((h + 1) * (w + 1) * oc, 2);  // the border's are not read

  const WatchedArray<Bfloat16> input(checker, "input", values.size(), 0),
      grad_output(checker, "grad_output", gradients.size(), 0);
  std::copy(values.begin(), values.end(), input.data());
  std::copy(gradients.begin(), gradients.end(), grad_output.data());
  const kernels::Conv2x2Shape shape{1, h, w, ic, oc};
  const WatchedArray<float> scratch(checker, "scratch", kernels::conv2x2_tensor_weight_scratch<Bfloat16>(shape)),
      grad_weight(checker, "grad_weight", 4 * ic * oc);
  kernels::conv2x2_tensor_weight<Bfloat16>(grad_weight, scratch, input, grad_output, shape, false, nullptr);

  const std::vector<float> x = to_floats(values), g = to_floats(gradients);
  double worst = 0;
  for (int tap = 0; tap < 4; ++tap) {
    for (int c = 0; c < ic; c += 5) {
      for (int o = 0; o < oc; ++o) {
        double sum = 0;
        for (int at = 0; at < out_h * out_w; ++at) {
          const int y = at / out_w, column = at % out_w;
          sum += static_cast<double>(x[static_cast<std::size_t>(((y + tap / 2) * w + column + tap % 2) * ic + c)]) *
                 static_cast<double>(g[static_cast<std::size_t>(((y + 1) * (w + 1) + column + 1) * oc + o)]);
        }
        worst = std::max(worst, deviation(grad_weight[(tap * ic + c) * oc + o], sum));
      }
    }
  }
  return worst;
}

}  // namespace lfm::test
