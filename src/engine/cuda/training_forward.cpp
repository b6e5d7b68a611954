// Training, forward: batch statistics, RBLD, RKS, both losses.
#include <array>

#include "kernels/average_pool.h"
#include "kernels/distillation.h"
#include "kernels/head.h"
#include "kernels/head_training.h"
#include "kernels/partial_sums.h"
#include "kernels/pool_training.h"
#include "kernels/residual.h"
#include "kernels/topk_pool.h"
#include "lfm/error.h"
#include "src/engine/cuda/training.h"
#include "src/model/rbld.h"

namespace lfm::inline LFM_TARGET {

template <typename X>
kernels::BatchNorm<X> CudaTraining::batch_norm(int b) const {
  const MapSize& conv = plan_.shape.conv[b];
  return {.x = at<X>(plan_.conv[b]),
          .statistics = at(plan_.statistics[b]),
          .scale = parameter_at(norm_scale(b)),
          .shift = parameter_at(norm_shift(b)),
          .n = n_,
          .h = conv.h,
          .w = conv.w,
          .c = kChannels[b + 1],
          .pool = b + 1 < kBlocks};
}
template kernels::BatchNorm<float> CudaTraining::batch_norm(int b) const;
template kernels::BatchNorm<kernels::Bfloat16> CudaTraining::batch_norm(int b) const;

void CudaTraining::begin(const PixelBatch& batch, const TrainingStep& step) {
  const device::Range range("upload", batch.n);
  ++changes_;
  step_ = step;
  n_ = batch.n;
  images_ = batch.n;
  communicator_.sum({&images_, 1});
  if (batch.memory == PixelMemory::device) {
    pixels_ = batch.pixels;
    return;
  }
  pixels_ = at<std::uint8_t>(plan_.pixels);
  uploaded_.synchronize();
  if (batch.memory == PixelMemory::host) return upload(plan_.pixels, batch.pixels, batch.bytes());
  stream_.copy_to_device(arena_.data() + plan_.pixels.offset, batch.pixels, batch.bytes());
}

void CudaTraining::forward(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::front_end: {
      if (is_fused(architecture_)) return;  // block 1 computes it
      const device::Range range("forward residual", n_, stage.index);
      return kernels::residual(architecture_.front_end, at(plan_.residual), pixels_, n_, plan_.height, plan_.width,
                               stream_.handle());
    }
    case StageKind::block: {
      const device::Range range("forward block", n_, stage.index);
      return forward_block(stage.block);
    }
    case StageKind::projection: {
      const device::Range range("forward projection", n_, stage.index);
      return project();
    }
    case StageKind::pooling: {
      const device::Range range("forward pool", n_, stage.index);
      return pool();
    }
    case StageKind::head: {
      const device::Range range("forward head", n_, stage.index);
      return head();
    }
    case StageKind::stem: {
      const device::Range range("forward stem", n_, stage.index);
      return forward_stem();
    }
    case StageKind::bottleneck: {
      const device::Range range("forward bottleneck", n_, stage.index);
      return forward_bottleneck(stage.block);
    }
  }
}

void CudaTraining::forward_block(int b) {
  if (b == 0) {
    with_first_input([&](const auto& input) {
      kernels::first_conv(at(plan_.conv[0]), input, parameter_at(conv_weight(0)), parameter_at(conv_bias(0)),
                          stream_.handle());
    });
  } else {
    convolve(b);
  }
  normalise(b);
}

void CudaTraining::normalise(int b) {
  in_formats_of(b, [&](auto format, auto stored) {
    using X = decltype(stored);
    take_statistics(at<X>(plan_.conv[b]), plan_.shape.conv[b].area(), kChannels[b + 1], plan_.statistics[b],
                    running_mean(b), running_var(b), is_stored_without_bias<X> ? parameter_at(conv_bias(b)) : nullptr);
    kernels::batch_norm_relu(at<decltype(format)>(plan_.out[b]), batch_norm<X>(b), stream_.handle());
  });
}

// The statistics of x [n][area][c] over the whole batch, to a region [2][c]; the running ones, by their ids, follow.
// bias: what x is stored without, or null.
template <typename X>
void CudaTraining::take_statistics(const X* x, int area, int c, const Region& statistics, int mean, int variance,
                                   const float* bias) {
  kernels::batch_moments(at<double>(plan_.sums), at(plan_.scratch), x, static_cast<std::int64_t>(n_) * area, c,
                         stream_.handle());
  if (communicator_.size > 1) merge_moments(area, c);
  kernels::batch_statistics(at(statistics), parameter_at(mean), parameter_at(variance), at<double>(plan_.sums),
                            images_times(area), c, kBatchNormEps, kBatchNormMomentum, bias, stream_.handle());
}
template void CudaTraining::take_statistics(const float*, int, int, const Region&, int, int, const float*);

// Mean and squared deviations of each process -> those of all. First the mean, then the deviations from it: nothing
// cancels.
void CudaTraining::merge_moments(int area, int c) {
  const double own = static_cast<double>(n_) * area;
  auto *moments = at<double>(plan_.sums), *totals = at<double>(plan_.scratch);
  kernels::moments_to_totals(totals, moments, own, c, stream_.handle());
  sum_over_processes(totals, static_cast<std::size_t>(c));
  kernels::recentre_moments(moments, totals, own, images_times(area), c, stream_.handle());
  sum_over_processes(moments + c, static_cast<std::size_t>(c));
}

void CudaTraining::pool() {
  const TrainingOptions& options = step_.options;
  const DrawKey& key = step_.key;
  const InjectedDraws& injected = step_.injected;
  const int area = plan_.map.area(), k = architecture_.k;
  const kernels::DrawOrigin origin{key.seed, key.step, static_cast<std::uint32_t>(key.first_image)};
  if (architecture_.pooling == Pooling::average) {
    return kernels::average_pool(at(plan_.features), at(plan_.maps), rows(), area, stream_.handle());
  }
  const std::size_t selected = static_cast<std::size_t>(rows()) * k;
  kernels::topk_pool(branch_at(plan_.features, 0), at<std::int32_t>(plan_.topk_positions), at(plan_.maps), rows(), area,
                     k, stream_.handle());
  if (options.rbld) {
    auto tables = rbld_drop_probabilities(options.p_min, options.p_max, k);
    const auto scales = rbld_scales(options.p_min, options.p_max, k, options.rbld_scale);
    tables.insert(tables.end(), scales.begin(), scales.end());
    upload(plan_.rbld_tables, tables.data(), tables.size() * sizeof(float));
    if (injected.rbld_keep) upload(plan_.keep, injected.rbld_keep, selected);
    kernels::rbld(branch_at(plan_.features, 0), at(plan_.factors),
                  injected.rbld_keep ? at<std::uint8_t>(plan_.keep) : nullptr, at(plan_.rbld_tables),
                  at(plan_.rbld_tables) + k, origin, rows(), channels(), k, stream_.handle());
  }
  if (options.rks) {
    auto* drawn = at<std::int32_t>(plan_.drawn);
    if (injected.rks_index) {
      upload(plan_.drawn, injected.rks_index, selected * sizeof(std::int32_t));
    } else {
      kernels::rks_draw(drawn, origin, rows(), channels(), area, k, stream_.handle());
    }
    kernels::rks_gather(branch_at(plan_.features, 1), at<std::int32_t>(plan_.rks_positions), drawn, at(plan_.maps),
                        rows(), area, k, stream_.handle());
  }
}

// Logits, losses and their gradient, of one branch. weight: of the gradient.
void CudaTraining::run_branch(int branch, float weight) {
  float* logits = result_at(branch);
  kernels::head(logits, branch_at(plan_.features, branch), parameter_at(table_.head_weight()),
                parameter_at(table_.head_bias()), n_, feature_count(architecture_), output_count(architecture_),
                stream_.handle());
  kernels::bce_with_logits(result_at(2 + branch), branch_at(plan_.grad_logits, branch), logits,
                           at<std::uint8_t>(plan_.labels), weight, n_, stream_.handle());
}

// Behind the branches, whose gradient it adds to: the logit's is theirs plus the teacher's; the maps' begins with the
// teacher's.
void CudaTraining::compare_with_teacher() {
  const Distillation& teacher = step_.teacher;
  maps_taught_ = !teacher.maps.empty();
  if (!teacher.any()) return;
  if (!plan_.teacher) throw Error(ErrorCode::usage, "no room was reserved for a teacher");
  upload(plan_.teacher_scale, teacher.scale.data(), teacher.scale.size_bytes());
  const float* scale = at(plan_.teacher_scale);
  if (maps_taught_) {
    const int area = plan_.map.area();
    upload(plan_.teacher_maps, teacher.maps.data(), teacher.maps.size_bytes());
    kernels::distill_maps(at(plan_.grad_maps), at(plan_.distance_partials), at(plan_.maps), at(plan_.teacher_maps),
                          scale, teacher.weight / static_cast<float>(kMapChannels * area), n_, area, stream_.handle());
    kernels::sum_partials(result_at(4), at(plan_.distance_partials), kernels::distillation_tiles(area), n_, false,
                          stream_.handle());
  }
  if (!teacher.logits.empty()) {
    upload(plan_.teacher_logits, teacher.logits.data(), teacher.logits.size_bytes());
    kernels::distill_logits(result_at(5), branch_at(plan_.grad_logits, 0), result_at(0), at(plan_.teacher_logits),
                            scale + kMapChannels, teacher.weight, n_, stream_.handle());
  }
}

void CudaTraining::head() {
  upload(plan_.labels, step_.labels.data(), step_.labels.size());
  run_branch(0, step_.loss_scale);
  if (step_.options.rks) run_branch(1, step_.options.alpha * step_.loss_scale);
  compare_with_teacher();
}

TrainingResult CudaTraining::end() {
  // The rows that this step has written, no others.
  const bool rks = step_.options.rks, logits_taught = !step_.teacher.logits.empty();
  const std::array<bool, 6> written = {true, rks, true, rks, maps_taught_, logits_taught};
  const std::size_t images = step_.labels.size();
  auto* results = reinterpret_cast<float*>(transfer(written.size() * images * sizeof(float)));
  const auto row = [&](int index) { return std::span(results + static_cast<std::size_t>(index) * images, images); };
  for (int index = 0; index < static_cast<int>(written.size()); ++index) {
    if (written[static_cast<std::size_t>(index)])
      stream_.copy_to_host(row(index).data(), result_at(index), images * sizeof(float));
  }
  stream_.synchronize();
  TrainingResult result;
  result.logit_a.assign(row(0).begin(), row(0).end());
  for (const float loss : row(2)) result.loss_a += loss;
  if (rks) {
    result.logit_b.assign(row(1).begin(), row(1).end());
    for (const float loss : row(3)) result.loss_b += loss;
  }
  if (maps_taught_) {
    for (const float distance : row(4)) result.distance_maps += distance;
    result.distance_maps /= kMapChannels * plan_.map.area();
  }
  if (logits_taught) {
    for (const float distance : row(5)) result.distance_logits += distance;
  }
  return result;
}

}  // namespace lfm::inline LFM_TARGET
