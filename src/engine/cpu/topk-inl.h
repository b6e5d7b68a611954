// Top-k pooling: per channel the k largest of the map, descending. Channels are lanes: the maps lie channels-last, so
// one load holds a position of many channels, and each lane keeps its own sorted list.
//
// A position whose value beats no lane's smallest is skipped; else it sinks through the lists by maximum and minimum.
#if defined(LFM_CPU_TOPK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_TOPK_INL_H_
#undef LFM_CPU_TOPK_INL_H_
#else
#define LFM_CPU_TOPK_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <limits>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline HWY_ATTR void select_largest(const Selection& p) {
  const F32 d;
  for (std::size_t channel = 0; channel < 64; channel += kLanes) {
    float* sorted = p.sorted + channel;
    for (int i = 0; i < p.k; ++i) {
      hn::Store(hn::Set(d, -std::numeric_limits<float>::infinity()), d, sorted + 64 * i);
    }
    float* smallest = sorted + std::size_t{64} * (p.k - 1);
    for (int position = 0; position < p.positions; ++position) {
      Vec x = hn::Load(d, p.maps + std::size_t{64} * position + channel);
      if (hn::AllFalse(d, hn::Gt(x, hn::Load(d, smallest)))) continue;
      for (int i = 0; i < p.k; ++i) {
        const Vec kept = hn::Load(d, sorted + 64 * i);
        hn::Store(hn::Max(kept, x), d, sorted + 64 * i);
        x = hn::Min(kept, x);
      }
    }
  }
  for (int channel = 0; channel < 64; ++channel) {
    for (int i = 0; i < p.k; ++i) p.features[channel * p.k + i] = p.sorted[64 * i + channel];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
