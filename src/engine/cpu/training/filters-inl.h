// Filters into Winograd's domain and their gradients out of it (mathematics in winograd4-inl.h), 64 filters at a time.
// Plain loops over 64 values: the compiler makes vectors of them, and filters are few beside pixels.
#if defined(LFM_CPU_FILTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_FILTERS_INL_H_
#undef LFM_CPU_FILTERS_INL_H_
#else
#define LFM_CPU_FILTERS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline constexpr float kFilterTransform[kInputSide][2] = {{1, 0}, {1, 1}, {0.5f, -0.5f}, {1.0f / 6, 1.0f / 3}, {0, 1}};

inline HWY_ATTR void transform_filters(const FilterTransform& p) {
  HWY_ALIGN float w[4][kSlab], left[kSlab], right[kSlab];
  for (int lane = 0; lane < kSlab; ++lane) {
    for (int tap = 0; tap < 4; ++tap) w[tap][lane] = p.w[lane * p.filter + tap];
  }
  float* u = p.u;
  for (const auto& row : kFilterTransform) {
    for (int lane = 0; lane < kSlab; ++lane) {
      left[lane] = row[0] * w[0][lane] + row[1] * w[2][lane];
      right[lane] = row[0] * w[1][lane] + row[1] * w[3][lane];
    }
    for (const auto& column : kFilterTransform) {
      for (int first = 0; first < kSlab; first += p.panel) {
        float* out = u + first / p.panel * p.panel_stride;
        for (int lane = 0; lane < p.panel; ++lane) {
          out[lane] = column[0] * left[first + lane] + column[1] * right[first + lane];
        }
      }
      u += p.product;
    }
  }
}

inline HWY_ATTR void filter_gradient(const FilterGradient& p) {
  HWY_ALIGN float w[4][kSlab] = {};
  const float* du = p.du;
  for (const auto& row : kFilterTransform) {
    for (const auto& column : kFilterTransform) {
      HWY_ALIGN float sum[kSlab] = {};
      for (int slot = 0; slot < p.slots; ++slot) {
        for (int lane = 0; lane < kSlab; ++lane) sum[lane] += du[slot * p.slot + lane];
      }
      const float g[4] = {row[0] * column[0], row[0] * column[1], row[1] * column[0], row[1] * column[1]};
      for (int tap = 0; tap < 4; ++tap) {
        for (int lane = 0; lane < kSlab; ++lane) w[tap][lane] += g[tap] * sum[lane];
      }
      du += p.product;
    }
  }
  for (int lane = 0; lane < kSlab; ++lane) {
    float* dw = p.dw + lane * p.filter;
    for (int tap = 0; tap < 4; ++tap) dw[tap] = p.accumulate ? dw[tap] + w[tap][lane] : w[tap][lane];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
