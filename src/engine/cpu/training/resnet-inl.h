// Passes of the ResNet trunk's training over pixels of 64 channels, [pixels][64]: the batch's statistics, the end of a
// bottleneck and its backward, and batch norm's backward (batch_norm.h).
#if defined(LFM_CPU_RESNET_TRAINING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_RESNET_TRAINING_INL_H_
#undef LFM_CPU_RESNET_TRAINING_INL_H_
#else
#define LFM_CPU_RESNET_TRAINING_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR void channel_moments(const ChannelMoments& p) {
  const F32 d;
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    Vec sum = hn::Load(d, p.sum + c), square = hn::Load(d, p.square + c);
    for (std::size_t i = 0; i < p.pixels; ++i) {
      const Vec x = hn::Load(d, p.x + i * kSlab + c);
      sum = hn::Add(sum, x);
      square = hn::MulAdd(x, x, square);
    }
    hn::Store(sum, d, p.sum + c);
    hn::Store(square, d, p.square + c);
  }
}

inline HWY_ATTR void join(const JoinedPixels& p) {
  const F32 d;
  const bool normed = p.shortcut_norm.scale != nullptr;
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    const Vec scale = hn::Load(d, p.norm.scale + c), shift = hn::Load(d, p.norm.shift + c);
    const Vec scale2 = normed ? hn::Load(d, p.shortcut_norm.scale + c) : hn::Set(d, 1.0f);
    const Vec shift2 = normed ? hn::Load(d, p.shortcut_norm.shift + c) : hn::Zero(d);
    for (std::size_t at = c; at < p.pixels * kSlab; at += kSlab) {
      const Vec y = hn::MulAdd(scale, hn::Load(d, p.x + at), shift);
      const Vec shortcut = hn::MulAdd(scale2, hn::Load(d, p.shortcut + at), shift2);
      hn::Store(relu(hn::Add(y, shortcut)), d, p.out + at);
    }
  }
}

inline HWY_ATTR void join_grad(const JoinedGrad& p) {
  const F32 d;
  const Vec zero = hn::Zero(d);
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    Vec sum = hn::Load(d, p.sum + c), sum_x = hn::Load(d, p.sum_x + c);
    Vec sum_shortcut = p.shortcut ? hn::Load(d, p.sum_shortcut + c) : zero;
    for (std::size_t at = c; at < p.pixels * kSlab; at += kSlab) {
      const Vec grad = hn::IfThenElseZero(hn::Gt(hn::Load(d, p.out + at), zero), hn::Load(d, p.grad + at));
      hn::Store(grad, d, p.grad + at);
      sum = hn::Add(sum, grad);
      sum_x = hn::MulAdd(grad, hn::Load(d, p.x + at), sum_x);
      if (p.shortcut) sum_shortcut = hn::MulAdd(grad, hn::Load(d, p.shortcut + at), sum_shortcut);
    }
    hn::Store(sum, d, p.sum + c);
    hn::Store(sum_x, d, p.sum_x + c);
    if (p.shortcut) hn::Store(sum_shortcut, d, p.sum_shortcut + c);
  }
}

inline HWY_ATTR void norm_grad(const NormGrad& p) {
  const F32 d;
  for (std::size_t c = 0; c < kSlab; c += kLanes) {
    const Vec gain = hn::Load(d, p.gain + c), offset = hn::Load(d, p.offset + c), slope = hn::Load(d, p.slope + c);
    for (std::size_t at = c; at < p.pixels * kSlab; at += kSlab) {
      const Vec rest = hn::MulAdd(slope, hn::Load(d, p.x + at), offset);
      hn::Store(hn::MulAdd(gain, hn::Load(d, p.grad + at), rest), d, p.out + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
