// Stand-ins for the libraries: the definitions, from the values as they lie in memory, summed in FP32.
#include <algorithm>

#include "kernels/element.h"
#include "kernels/simt/queue.h"
#include "lfm/error.h"
#include "src/engine/cuda/libraries.h"

namespace lfm::inline LFM_TARGET {

struct Libraries::State {};

Libraries::Libraries(const Providers&) {}
Libraries::~Libraries() = default;
Libraries::Libraries(Libraries&&) noexcept = default;

namespace {

struct Single {
  float value;
};
float to_float(Single single) { return single.value; }
template <typename T>
T rounded(float value) {
  if constexpr (std::is_same_v<T, Single>) {
    return {value};
  } else {
    return kernels::round_to<T>(value);
  }
}

/// Calls work(T{}) with the format that the precision's values have in memory.
template <typename Work>
void with_format(Precision precision, Work work) {
  switch (precision) {
    case Precision::fp16: return work(kernels::Half{});
    case Precision::bf16: return work(kernels::Bfloat16{});
    case Precision::tf32: return work(kernels::Tf32{});
    default: return work(Single{});
  }
}

template <typename Call>
void give(kernels::Stream stream, Call call) {
  if (!stream) return call();
  reinterpret_cast<simt::Queue*>(stream)->enqueue(call);
}

template <typename T>
void convolve(const ConvolutionProblem& p, const CudnnConvolution::Arrays& arrays) {
  const auto *x = static_cast<const T*>(arrays.x), *w = static_cast<const T*>(arrays.w);
  const auto* bias = static_cast<const T*>(arrays.bias);
  auto* y = static_cast<T*>(arrays.y);
  const auto pixel = [&](int image, int row, int column) {
    return x + ((static_cast<std::int64_t>(image) * p.h + row) * p.w + column) * p.ic;
  };
  for (int image = 0; image < p.n; ++image) {
    for (int row = 0; row + 1 < p.h; ++row) {
      for (int column = 0; column + 1 < p.w; ++column) {
        for (int o = 0; o < p.oc; ++o) {
          float sum = to_float(bias[o]);
          for (int tap = 0; tap < 4; ++tap) {
            const T* from = pixel(image, row + tap / 2, column + tap % 2);
            const T* factor = w + (static_cast<std::int64_t>(o) * 4 + tap) * p.ic;
            for (int i = 0; i < p.ic; ++i) sum += to_float(from[i]) * to_float(factor[i]);
          }
          *y++ = rounded<T>(std::max(sum, 0.0f));
        }
      }
    }
  }
}

template <typename T, typename Result>
void multiply(const ProductProblem& p, const CublasProduct::Arrays& arrays) {
  const auto* b = static_cast<const T*>(arrays.b);
  const auto* bias = static_cast<const Result*>(arrays.bias);
  auto* c = static_cast<Result*>(arrays.c);
  for (int image = 0; image < p.batch; ++image) {
    const T* a = static_cast<const T*>(arrays.a) + image * p.rows * p.depth;
    for (std::int64_t j = 0; j < p.columns; ++j) {
      for (std::int64_t i = 0; i < p.rows; ++i) {
        float sum = p.epilogue == ProductEpilogue::none ? 0.0f : to_float(bias[i]);
        for (std::int64_t k = 0; k < p.depth; ++k) sum += to_float(a[i * p.depth + k]) * to_float(b[j * p.depth + k]);
        *c++ = rounded<Result>(p.epilogue == ProductEpilogue::bias_relu ? std::max(sum, 0.0f) : sum);
      }
    }
  }
}

}  // namespace

ConvolutionCall Libraries::convolution(const ConvolutionProblem& problem, std::size_t) {
  if (problem.pass != ConvolutionPass::forward) {
    throw Error(ErrorCode::device, "the emulated device has no library that computes gradients");
  }
  return [problem](const CudnnConvolution::Arrays& arrays, kernels::Stream stream) {
    give(stream,
         [problem, arrays] { with_format(problem.precision, [&]<typename T>(T) { convolve<T>(problem, arrays); }); });
  };
}

ProductCall Libraries::product(const ProductProblem& problem, std::size_t) {
  return [problem](const CublasProduct::Arrays& arrays, kernels::Stream stream) {
    give(stream, [problem, arrays] {
      with_format(problem.precision, [&]<typename T>(T) {
        if (problem.fp32_result) return multiply<T, Single>(problem, arrays);
        multiply<T, T>(problem, arrays);
      });
    });
  };
}

}  // namespace lfm::inline LFM_TARGET
