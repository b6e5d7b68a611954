// Batch norm followed by ReLU, y = max(0, scale * x + shift), over channels-last pixels: forward into slabs, and ReLU's
// backward with the two sums per channel that batch norm's backward waits for (batch_norm.h).
#if defined(LFM_CPU_BATCH_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_BATCH_NORM_INL_H_
#undef LFM_CPU_BATCH_NORM_INL_H_
#else
#define LFM_CPU_BATCH_NORM_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR void relu_grad(const ReluGrad& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  const std::size_t channels = static_cast<std::size_t>(p.channels);
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const Vec scale = hn::Load(d, p.norm.scale + c), shift = hn::Load(d, p.norm.shift + c);
    Vec sum = hn::Load(d, p.sum + c), sum_x = hn::Load(d, p.sum_x + c);
    for (std::size_t i = 0; i < p.pixels; ++i) {
      const Vec x = hn::Load(d, p.x + i * channels + c);
      float* at = p.grad + i * channels + c;
      const Vec grad = hn::IfThenElseZero(hn::Gt(hn::MulAdd(scale, x, shift), zero), hn::Load(d, at));
      hn::Store(grad, d, at);
      sum = hn::Add(sum, grad);
      sum_x = hn::MulAdd(grad, x, sum_x);
    }
    hn::Store(sum, d, p.sum + c);
    hn::Store(sum_x, d, p.sum_x + c);
  }
}

inline HWY_ATTR void normalize(const NormalizedSlabs& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  const std::size_t channels = static_cast<std::size_t>(p.channels), pixels = static_cast<std::size_t>(p.pixels);
  for (std::size_t i = 0; i < pixels; ++i) {
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const Vec x = hn::Load(d, p.x + i * channels + c);
      const Vec y = hn::MulAdd(hn::Load(d, p.norm.scale + c), x, hn::Load(d, p.norm.shift + c));
      hn::Store(hn::Max(zero, y), d, p.out + (c / kSlab * pixels + i) * kSlab + c % kSlab);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
