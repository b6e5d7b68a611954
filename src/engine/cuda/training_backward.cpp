// Training, backward: the mirror image of training_forward.cpp.
#include "kernels/head_training.h"
#include "kernels/pool_training.h"
#include "src/engine/cuda/training.h"

namespace lfm::inline LFM_TARGET {

void CudaTraining::backward(const Stage& stage, GradientMode mode) {
  switch (stage.kind) {
    case StageKind::head: {
      const device::Range range("backward head", n_, stage.index);
      return backward_head(mode);
    }
    case StageKind::pooling: {
      const device::Range range("backward pool", n_, stage.index);
      return backward_pool();
    }
    case StageKind::projection: {
      const device::Range range("backward projection", n_, stage.index);
      return backward_projection(mode);
    }
    case StageKind::block: {
      const device::Range range("backward block", n_, stage.index);
      return backward_block(stage.block, mode);
    }
    case StageKind::stem: {
      const device::Range range("backward stem", n_, stage.index);
      return backward_stem(mode);
    }
    case StageKind::bottleneck: {
      const device::Range range("backward bottleneck", n_, stage.index);
      return backward_bottleneck(stage.block, mode);
    }
    case StageKind::front_end: return;  // has no parameters
  }
}

void CudaTraining::backward_head(GradientMode mode) {
  for (int branch = 0; branch < (step_.options.rks ? 2 : 1); ++branch) {
    const bool accumulate = branch > 0 || mode == GradientMode::accumulate;  // the branches share the layer
    kernels::head_backward(branch_at(plan_.grad_features, branch), gradient_at(table_.head_weight()),
                           gradient_at(table_.head_bias()), branch_at(plan_.features, branch),
                           parameter_at(table_.head_weight()), branch_at(plan_.grad_logits, branch), n_,
                           feature_count(architecture_), output_count(architecture_), accumulate, stream_.handle());
  }
}

void CudaTraining::backward_pool() {
  const int area = plan_.map.area(), k = architecture_.k;
  if (architecture_.pooling == Pooling::average) {
    return kernels::average_pool_backward(at(plan_.grad_maps), at(plan_.grad_features), rows(), channels(), area,
                                          maps_taught_, stream_.handle());
  }
  if (!maps_taught_) stream_.zero(at(plan_.grad_maps), static_cast<std::size_t>(rows()) * area * sizeof(float));
  kernels::pool_backward(at(plan_.grad_maps), branch_at(plan_.grad_features, 0),
                         step_.options.rbld ? at(plan_.factors) : nullptr, at<std::int32_t>(plan_.topk_positions),
                         rows(), channels(), area, k, stream_.handle());
  if (step_.options.rks) {
    kernels::pool_backward(at(plan_.grad_maps), branch_at(plan_.grad_features, 1), nullptr,
                           at<std::int32_t>(plan_.rks_positions), rows(), channels(), area, k, stream_.handle());
  }
}

// grad_out: the gradient of the block's output -> of its input
void CudaTraining::backward_block(int b, GradientMode mode) {
  backward_normalise(b, mode);
  if (b > 0) return backward_convolution(b, mode);
  with_first_input([&](const auto& input) {
    in_format([&](auto format) {
      kernels::first_conv_backward_weight(gradient_at(conv_weight(0)), at(plan_.scratch), input,
                                          at<kernels::Stored<decltype(format)>>(plan_.grad_first),
                                          mode == GradientMode::accumulate, stream_.handle());
    });
  });
}

// Pooling, ReLU and batch norm. The convolution's bias shifts every value of a channel, which batch norm takes away
// again: its gradient stays zero.
void CudaTraining::backward_normalise(int b, GradientMode mode) {
  in_formats_of(b, [&](auto format, auto stored) {
    using T = decltype(format);
    using G = kernels::Stored<T>;
    const auto norm = batch_norm<decltype(stored)>(b);
    kernels::batch_norm_relu_backward_sums(at<double>(plan_.sums), gradient_at(norm_scale(b)),
                                           gradient_at(norm_shift(b)), at(plan_.scratch), norm, at<G>(plan_.grad_out),
                                           mode == GradientMode::accumulate, stream_.handle());
    sum_over_processes(at<double>(plan_.sums), std::size_t{2} * kChannels[b + 1]);
    const auto backward = [&](auto* grad_conv, int border) {
      kernels::batch_norm_relu_backward(grad_conv, at(plan_.scratch), norm, at<G>(plan_.grad_out),
                                        at<double>(plan_.sums), images_times(plan_.shape.conv[b].area()), border,
                                        stream_.handle());
    };
    if (b == 0) return backward(at<G>(plan_.grad_first), 0);
    backward(at<T>(plan_.grad_conv), 1);
  });
}

}  // namespace lfm::inline LFM_TARGET
