// Compiles the training kernels once per instruction set, as kernels.cpp does the others.
#include "src/engine/cpu/training/training_kernels.h"

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/engine/cpu/training/training_kernels.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "src/engine/cpu/training/adam-inl.h"
#include "src/engine/cpu/training/batch_norm-inl.h"
#include "src/engine/cpu/training/filters-inl.h"
#include "src/engine/cpu/training/first_block_training-inl.h"
#include "src/engine/cpu/training/gemm_outer-inl.h"
#include "src/engine/cpu/training/projection-inl.h"
#include "src/engine/cpu/training/resnet-inl.h"
#include "src/engine/cpu/training/winograd4-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

const TrainingKernels& training_table() {
  static constexpr TrainingKernels kernels = {input_tile,
                                              output_tile,
                                              grad_output_tile,
                                              grad_input_tile,
                                              transform_filters,
                                              filter_gradient,
                                              outer_product,
                                              patch_moments,
                                              first_block_train_row<WindowResidual>,
                                              first_block_grad_row<WindowResidual>,
                                              first_block_train_row<PlainWindow>,
                                              first_block_grad_row<PlainWindow>,
                                              relu_grad,
                                              normalize,
                                              projection_grad,
                                              channel_moments,
                                              join,
                                              join_grad,
                                              norm_grad,
                                              adam,
                                              kWinnerBytes};
  return kernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lfm::cpu {

const TrainingKernels& training_kernels(const Kernels& kernels) {
#if HWY_TARGETS & HWY_AVX3
  if (kernels.target == HWY_AVX3) return N_AVX3::training_table();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (kernels.target == HWY_AVX2) return N_AVX2::training_table();
#endif
#if HWY_TARGETS & HWY_SSE4
  if (kernels.target == HWY_SSE4) return N_SSE4::training_table();
#endif
  return HWY_STATIC_DISPATCH(training_table)();
}

}  // namespace lfm::cpu
#endif
