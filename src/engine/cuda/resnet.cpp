#include "src/engine/cuda/resnet.h"

#include <type_traits>

#include "kernels/padded_conv.h"
#include "kernels/padded_conv_tensor.h"
#include "kernels/stem.h"

namespace lfm::inline LFM_TARGET {

namespace {

/// T: what activations are stored as, float for FP32.
template <typename T>
class ResnetStages {
 public:
  ResnetStages(const InferencePass& pass, kernels::Stream stream)
      : pass_(pass), plan_(pass.plan->resnet), weights_(pass.weight_plan->resnet), stream_(stream) {}

  void stem() const {
    const MapSize& size = pass_.plan->input;
    kernels::stem(at(plan_.stem), at<float>(pass_.plan->residual), weight<float>(0), bias(0), pass_.n, size.h, size.w,
                  stream_);
  }

  void bottleneck(int index) const {
    const Bottleneck& b = kBottlenecks[static_cast<std::size_t>(index)];
    const int first = first_convolution(index);
    const Maps stem{at(plan_.stem), plan_.stem_size}, layer1{at(plan_.layer1), plan_.layer1_size},
        layer2{at(plan_.layer2), plan_.layer2_size};
    const Maps& out = index < kLayer1End ? layer1 : layer2;
    const Maps& in = index == 0 ? stem : index == kLayer1End ? layer1 : out;
    const Maps reduced{at(plan_.reduced), in.size}, spatial{at(plan_.spatial), out.size};
    convolve(first + kReduce, in, {.output = reduced.data});
    convolve(first + kSpatial, reduced, {.output = spatial.data});
    if (b.projects()) convolve(first + kShortcut, in, {.output = out.data, .relu = false});
    const bool is_last = index + 1 == static_cast<int>(kBottlenecks.size());
    convolve(first + kExpand, spatial,
             {.output = out.data, .shortcut = out.data, .maps = is_last ? at<float>(pass_.plan->maps) : nullptr});
  }

 private:
  struct Maps {
    T* data;
    MapSize size;
  };
  /// What a convolution's place in its bottleneck decides.
  struct Epilogue {
    T* output = nullptr;
    const T* shortcut = nullptr;
    bool relu = true;
    float* maps = nullptr;  // in place of the output, for pooling
  };

  void convolve(int convolution, const Maps& in, const Epilogue& epilogue) const {
    const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
    const kernels::PaddedConv<T> conv{.output = epilogue.output,
                                      .input = in.data,
                                      .weight = weight<T>(convolution),
                                      .bias = bias(convolution),
                                      .shortcut = epilogue.shortcut,
                                      .n = pass_.n,
                                      .h = in.size.h,
                                      .w = in.size.w,
                                      .ic = c.ic,
                                      .oc = c.oc,
                                      .kernel = c.kernel,
                                      .stride = c.stride,
                                      .relu = epilogue.relu,
                                      .maps = epilogue.maps};
    if constexpr (std::is_same_v<T, float>) {
      kernels::padded_conv(conv, stream_);
    } else {
      kernels::padded_conv_tensor(conv, stream_);
    }
  }

  template <typename Item = T>
  Item* at(const Region& region) const {
    return reinterpret_cast<Item*>(pass_.arena + region.offset);
  }
  template <typename Item>
  const Item* weight(int convolution) const {
    return reinterpret_cast<const Item*>(pass_.weights + weights_.weight[static_cast<std::size_t>(convolution)].offset);
  }
  const float* bias(int convolution) const {
    return reinterpret_cast<const float*>(pass_.weights + weights_.bias[static_cast<std::size_t>(convolution)].offset);
  }

  const InferencePass& pass_;
  const ResnetPlan& plan_;
  const ResnetWeights& weights_;
  kernels::Stream stream_;
};

template <typename T>
void launch_as(const InferencePass& pass, const Stage& stage, kernels::Stream stream) {
  const ResnetStages<T> stages(pass, stream);
  if (stage.kind == StageKind::stem) return stages.stem();
  stages.bottleneck(stage.block);
}

}  // namespace

void launch_resnet(const InferencePass& pass, const Stage& stage, kernels::Stream stream) {
  switch (pass.plan->recipe->precision) {
    case Precision::fp16: return launch_as<kernels::Half>(pass, stage, stream);
    case Precision::bf16: return launch_as<kernels::Bfloat16>(pass, stage, stream);
    case Precision::tf32: return launch_as<kernels::Tf32>(pass, stage, stream);
    default: return launch_as<float>(pass, stage, stream);
  }
}

}  // namespace lfm::inline LFM_TARGET
