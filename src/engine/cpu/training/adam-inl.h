// Adam (Kingma and Ba, 2015) as torch.optim.Adam computes it, on a range of the flat parameter arena:
//
//     g += weight_decay * p      m += (1 - beta1)(g - m)      v = beta2 v + (1 - beta2) g^2
//     p -= lr/(1 - beta1^t) * m / (sqrt(v)/sqrt(1 - beta2^t) + eps)
//
// The arena is padded to whole vectors; its padding has neither gradient nor value, and stays zero.
#if defined(LFM_CPU_ADAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_ADAM_INL_H_
#undef LFM_CPU_ADAM_INL_H_
#else
#define LFM_CPU_ADAM_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR void adam(const AdamRange& p) {
  const F32 d;
  const Vec decay = hn::Set(d, p.weight_decay), rate1 = hn::Set(d, 1.0f - p.beta1);
  const Vec beta2 = hn::Set(d, p.beta2), rate2 = hn::Set(d, 1.0f - p.beta2), eps = hn::Set(d, p.eps);
  const Vec step = hn::Set(d, p.step_size), correction = hn::Set(d, p.inverse_correction2);
  for (std::size_t i = 0; i < p.count; i += kLanes) {
    const Vec parameter = hn::LoadU(d, p.parameter + i), m = hn::LoadU(d, p.m + i), v = hn::LoadU(d, p.v + i);
    const Vec g = hn::MulAdd(decay, parameter, hn::LoadU(d, p.gradient + i));
    const Vec new_m = hn::MulAdd(rate1, hn::Sub(g, m), m);
    const Vec new_v = hn::MulAdd(beta2, v, hn::Mul(rate2, hn::Mul(g, g)));
    const Vec deviation = hn::MulAdd(hn::Sqrt(new_v), correction, eps);
    hn::StoreU(hn::Sub(parameter, hn::Div(hn::Mul(step, new_m), deviation)), d, p.parameter + i);
    hn::StoreU(new_m, d, p.m + i);
    hn::StoreU(new_v, d, p.v + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
