#include "src/engine/cuda/resnet.h"

#include "kernels/padded_conv.h"
#include "kernels/stem.h"

namespace lfm::inline LFM_TARGET {

namespace {

class ResnetStages {
 public:
  ResnetStages(const InferencePass& pass, kernels::Stream stream)
      : pass_(pass), plan_(pass.plan->resnet), weights_(pass.weight_plan->resnet), stream_(stream) {}

  void stem() const {
    const MapSize& size = pass_.plan->input;
    kernels::stem(at(plan_.stem), at(pass_.plan->residual), weight(weights_.weight[0]), weight(weights_.bias[0]),
                  pass_.n, size.h, size.w, stream_);
  }

  void bottleneck(int index) const {
    const Bottleneck& b = kBottlenecks[static_cast<std::size_t>(index)];
    const int first = first_convolution(index);
    const Maps stem{at(plan_.stem), plan_.stem_size}, layer1{at(plan_.layer1), plan_.layer1_size},
        layer2{at(plan_.layer2), plan_.layer2_size};
    const Maps& out = index < kLayer1End ? layer1 : layer2;
    const Maps& in = index == 0 ? stem : index == kLayer1End ? layer1 : out;
    const Maps reduced{at(plan_.reduced), in.size}, spatial{at(plan_.spatial), out.size};
    launch(first + kReduce, in, {.output = reduced.data});
    launch(first + kSpatial, reduced, {.output = spatial.data});
    if (b.projects()) launch(first + kShortcut, in, {.output = out.data, .relu = false});
    const bool is_last = index + 1 == static_cast<int>(kBottlenecks.size());
    launch(first + kExpand, spatial,
           {.output = is_last ? at(pass_.plan->maps) : out.data, .shortcut = out.data, .channels_first = is_last});
  }

 private:
  struct Maps {
    float* data;
    MapSize size;
  };

  void launch(int convolution, const Maps& in, kernels::PaddedConv conv) const {
    const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(convolution)];
    conv.input = in.data;
    conv.weight = weight(weights_.weight[static_cast<std::size_t>(convolution)]);
    conv.bias = weight(weights_.bias[static_cast<std::size_t>(convolution)]);
    conv.n = pass_.n, conv.h = in.size.h, conv.w = in.size.w, conv.ic = c.ic, conv.oc = c.oc;
    conv.kernel = c.kernel, conv.stride = c.stride;
    kernels::padded_conv(conv, stream_);
  }
  float* at(const Region& region) const { return reinterpret_cast<float*>(pass_.arena + region.offset); }
  const float* weight(const Region& region) const {
    return reinterpret_cast<const float*>(pass_.weights + region.offset);
  }

  const InferencePass& pass_;
  const ResnetPlan& plan_;
  const ResnetWeights& weights_;
  kernels::Stream stream_;
};

}  // namespace

void launch_resnet(const InferencePass& pass, const Stage& stage, kernels::Stream stream) {
  const ResnetStages stages(pass, stream);
  if (stage.kind == StageKind::stem) return stages.stem();
  stages.bottleneck(stage.block);
}

}  // namespace lfm::inline LFM_TARGET
