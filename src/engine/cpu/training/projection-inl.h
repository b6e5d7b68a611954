// Backward of the 1x1 convolution maps[o] = sum over i of w[o][i] y[i], with y = max(0, scale * x + shift) of block 4,
// pixel by pixel:
//
//     dy[i] = sum over o of w[o][i] dmaps[o]        dw[o][i] += dmaps[o] y[i]
//
// Top-k pooling sends gradient to at most 2k positions of each map, 32 of 676 at 224x224: per pixel about three of the
// 64 o are not zero, and only those are visited. dy then passes ReLU, and the sums that batch norm's backward waits for
// are taken.
#if defined(LFM_CPU_PROJECTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_PROJECTION_INL_H_
#undef LFM_CPU_PROJECTION_INL_H_
#else
#define LFM_CPU_PROJECTION_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/training/training_kernels.h"
#include "src/model/architecture.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR void projection_grad_pixel(const ProjectionGrad& p, std::size_t pixel) {
  constexpr std::size_t channels = kChannels[kBlocks];
  const F32 d;
  const Vec zero = hn::Zero(d);
  std::size_t active[kMapChannels];
  float grad_map[kMapChannels];
  std::size_t count = 0;
  for (std::size_t o = 0; o < kMapChannels; ++o) {
    const float g = p.grad_maps[pixel * kMapChannels + o];
    active[count] = o * channels;
    grad_map[count] = g;
    count += g != 0;
  }
  for (std::size_t c = 0; c < channels; c += kLanes) {
    Vec grad = zero;
    for (std::size_t i = 0; i < count; ++i) {
      grad = hn::MulAdd(hn::Set(d, grad_map[i]), hn::Load(d, p.weight + active[i] + c), grad);
    }
    const Vec x = hn::Load(d, p.x + pixel * channels + c);
    const Vec y = hn::Max(zero, hn::MulAdd(hn::Load(d, p.norm.scale + c), x, hn::Load(d, p.norm.shift + c)));
    for (std::size_t i = 0; i < count; ++i) {
      float* at = p.grad_weight + active[i] + c;
      hn::Store(hn::MulAdd(hn::Set(d, grad_map[i]), y, hn::Load(d, at)), d, at);
    }
    grad = hn::IfThenElseZero(hn::Gt(y, zero), grad);
    hn::Store(grad, d, p.grad + pixel * channels + c);
    hn::Store(hn::Add(hn::Load(d, p.sum + c), grad), d, p.sum + c);
    hn::Store(hn::MulAdd(grad, x, hn::Load(d, p.sum_x + c)), d, p.sum_x + c);
  }
}

inline HWY_ATTR void projection_grad(const ProjectionGrad& p) {
  for (int pixel = 0; pixel < p.pixels; ++pixel) projection_grad_pixel(p, static_cast<std::size_t>(pixel));
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
