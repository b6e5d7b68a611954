#include "src/engine/cuda/inference.h"

#include <cstdint>
#include <type_traits>

#include "kernels/average_pool.h"
#include "kernels/conv2x2_direct.h"
#include "kernels/conv2x2_tensor.h"
#include "kernels/conv2x2_wgmma.h"
#include "kernels/conv2x2_winograd.h"
#include "kernels/first_block.h"
#include "kernels/first_block_tensor.h"
#include "kernels/head.h"
#include "kernels/last_block_tensor.h"
#include "kernels/last_block_wgmma.h"
#include "kernels/pool_head.h"
#include "kernels/projection.h"
#include "kernels/residual.h"
#include "kernels/topk_pool.h"
#include "src/engine/cuda/library_stages.h"
#include "src/engine/cuda/resnet.h"
#include "src/model/front_end.h"

namespace lfm::inline LFM_TARGET {

namespace {

/// The pass's buffers, as the kernels want them.
class Stages {
 public:
  Stages(const InferencePass& pass, kernels::Stream stream)
      : pass_(pass), plan_(*pass.plan), weight_plan_(*pass.weight_plan), stream_(stream) {}

  void residual() const {
    kernels::residual(pass_.architecture.front_end, at<float>(plan_.residual), pass_.pixels, pass_.n, plan_.height,
                      plan_.width, stream_);
  }
  template <typename T>
  void first_block() const {
    T* const output = at<T>(plan_.blocks[0]);
    const float *const w = weight(weight_plan_.weight[0]), *const bias = weight(weight_plan_.bias[0]);
    if (!lfm::is_fused(pass_.architecture)) {
      const MapSize& size = plan_.input;
      return kernels::first_block(output, at<const float>(plan_.residual), w, bias, pass_.n, size.h, size.w, stream_);
    }
    if constexpr (std::is_same_v<T, float>) {
      kernels::first_block(output, pass_.pixels, w, bias, pass_.n, plan_.height, plan_.width, stream_);
    } else {
      kernels::first_block_tensor(output, pass_.pixels, w, bias, pass_.n, plan_.height, plan_.width, stream_);
    }
  }

  // ---- FP32 ----

  void convolve(int block, kernels::Epilogue epilogue) const {
    const MapSize& in = input_size(block);
    const bool winograd = plan_.recipe->convolution == BlockConvolution::winograd;
    (winograd ? kernels::conv2x2_winograd : kernels::conv2x2_direct)(
        {at<float>(plan_.blocks[block]), at<float>(plan_.blocks[block - 1]), weight(weight_plan_.weight[block]),
         weight(weight_plan_.bias[block]), pass_.n, in.h, in.w, kChannels[block], kChannels[block + 1]},
        epilogue, stream_);
  }
  void project() const {
    kernels::projection(at<float>(plan_.maps), at<float>(plan_.blocks[kBlocks - 1]), weight(weight_plan_.projection),
                        pass_.n, plan_.shape.maps().area(), kChannels[kBlocks], stream_);
  }

  // ---- tensor cores ----

  template <typename T>
  void convolve_tensor(int block) const {
    const MapSize& in = input_size(block);
    const kernels::Conv2x2Tensor<T> conv{at<T>(plan_.blocks[block]),
                                         at<T>(plan_.blocks[block - 1]),
                                         weight(weight_plan_.weight[block]),
                                         weight(weight_plan_.bias[block]),
                                         pass_.n,
                                         in.h,
                                         in.w,
                                         kChannels[block],
                                         kChannels[block + 1]};
    (by_warpgroups() ? kernels::conv2x2_wgmma<T> : kernels::conv2x2_tensor<T>)(conv, stream_);
  }
  template <typename T>
  void last_block_tensor() const {
    constexpr int block = kBlocks - 1;
    const MapSize& in = input_size(block);
    const kernels::LastBlockTensor<T> last{at<float>(plan_.maps),
                                           at<T>(plan_.blocks[block - 1]),
                                           weight(weight_plan_.weight[block]),
                                           weight(weight_plan_.bias[block]),
                                           pass_.n,
                                           in.h,
                                           in.w,
                                           kChannels[block],
                                           kChannels[block + 1],
                                           pass_.n <= plan_.split_images ? at<T>(plan_.scratch) : nullptr};
    (by_warpgroups() ? kernels::last_block_wgmma<T> : kernels::last_block_tensor<T>)(last, stream_);
  }

  // ---- pooling and head, in FP32 always ----

  void pool() const {
    const int channels = map_channels(pass_.architecture), rows = pass_.n * channels;
    const int area = static_cast<int>(plan_.maps.shape[2] * plan_.maps.shape[3]);
    if (pass_.architecture.pooling == Pooling::topk && plan_.recipe->providers.head() != Provider::own) {
      kernels::topk_pool(at<float>(plan_.features), nullptr, at<float>(plan_.maps), rows, area, pass_.architecture.k,
                         stream_);
    } else if (pass_.architecture.pooling == Pooling::topk) {
      kernels::pool_head(at<float>(plan_.logits), at<float>(plan_.features), at<float>(plan_.maps),
                         weight(weight_plan_.head_weight), weight(weight_plan_.head_bias), pass_.n, channels, area,
                         pass_.architecture.k, stream_);
    } else {
      kernels::average_pool(at<float>(plan_.features), at<float>(plan_.maps), rows, area, stream_);
    }
  }
  void head() const {
    kernels::head(at<float>(plan_.logits), at<float>(plan_.features), weight(weight_plan_.head_weight),
                  weight(weight_plan_.head_bias), pass_.n, feature_count(pass_.architecture), 1, stream_);
  }

 private:
  template <typename T>
  T* at(const Region& region) const {
    return reinterpret_cast<T*>(pass_.arena + region.offset);
  }
  const float* weight(const Region& region) const {
    return reinterpret_cast<const float*>(pass_.weights + region.offset);
  }
  bool by_warpgroups() const { return plan_.recipe->convolution == BlockConvolution::wgmma; }
  const MapSize& input_size(int block) const { return plan_.shape.out[block - 1]; }

  const InferencePass& pass_;
  const InferencePlan& plan_;
  const WeightPlan& weight_plan_;
  kernels::Stream stream_;
};

// Block 4 is computed with the projection: its maps never leave the chip.
template <typename T>
void launch_tensor(const Stages& stages, const Stage& stage) {
  if (stage.kind == StageKind::projection) return stages.last_block_tensor<T>();
  if (stage.block == 0) return stages.first_block<T>();
  stages.convolve_tensor<T>(stage.block);
}

void launch_fp32(const Stages& stages, const Stage& stage) {
  if (stage.kind == StageKind::projection) return stages.project();
  if (stage.block == 0) return stages.first_block<float>();
  stages.convolve(stage.block,
                  stage.block + 1 < kBlocks ? kernels::Epilogue::bias_relu_pool : kernels::Epilogue::bias_relu);
}

}  // namespace

bool is_fused(const InferencePass& pass, const Stage& stage) {
  switch (stage.kind) {
    case StageKind::front_end: return lfm::is_fused(pass.architecture);  // in block 1
    case StageKind::block:
      return pass.plan->recipe->fuses_projection && stage.block + 1 == kBlocks;  // in the projection
    case StageKind::head:                                                        // in pooling
      return pass.architecture.pooling == Pooling::topk && pass.plan->recipe->providers.head() == Provider::own;
    case StageKind::projection:
    case StageKind::pooling:
    case StageKind::stem:
    case StageKind::bottleneck: return false;
  }
  return false;
}

void launch_stage(const InferencePass& pass, const Stage& stage, kernels::Stream stream) {
  if (is_fused(pass, stage)) return;
  if (pass.plan->recipe->providers[stage] != Provider::own) return pass.libraries->launch(pass, stage, stream);
  const Stages stages(pass, stream);
  if (stage.kind == StageKind::front_end) return stages.residual();
  if (stage.kind == StageKind::stem || stage.kind == StageKind::bottleneck) return launch_resnet(pass, stage, stream);
  if (stage.kind == StageKind::pooling) return stages.pool();
  if (stage.kind == StageKind::head) return stages.head();
  switch (pass.plan->recipe->precision) {
    case Precision::fp16: return launch_tensor<kernels::Half>(stages, stage);
    case Precision::bf16: return launch_tensor<kernels::Bfloat16>(stages, stage);
    case Precision::tf32: return launch_tensor<kernels::Tf32>(stages, stage);
    default: return launch_fp32(stages, stage);
  }
}

}  // namespace lfm::inline LFM_TARGET
