#include "src/engine/cpu/training/resnet_training.h"

#include <algorithm>

namespace lfm::cpu {
namespace {

constexpr int kWidest = kResnetMapChannels;
constexpr std::size_t kSums = 3;  // of a channel, at most: grad, grad * x and grad * shortcut

const TrunkConvolution& row_of(int convolution) { return kTrunkConvolutions[static_cast<std::size_t>(convolution)]; }

const Bottleneck& bottleneck_of(int b) { return kBottlenecks[static_cast<std::size_t>(b)]; }

std::size_t level_of(int b) { return b < 0 ? 0 : b < kLayer1End ? 1 : 2; }

/// Zeros around the images of a slab.
void clear_border(const SlabMaps& maps, int slab, int image) {
  float* const first = maps.image(slab, image);
  const std::size_t pitch = maps.pitch();
  std::fill_n(first, pitch, 0.0f);
  std::fill_n(first + maps.image_floats() - pitch, pitch, 0.0f);
  for (int y = 0; y < maps.size.h; ++y) {
    float* const row = maps.row(slab, image, y);
    std::fill_n(row - kSlab, kSlab, 0.0f);
    std::fill_n(row + pitch - 2 * kSlab, kSlab, 0.0f);
  }
}

/// Calls task(slab, image) for all of them.
template <typename Task>
void for_planes(ThreadPool& pool, const SlabMaps& maps, const Task& task) {
  pool.run(maps.slabs() * maps.n, [&](int index, int) { task(index / maps.n, index % maps.n); });
}

/// Calls row(y, sums) for each row of a plane: sums, kCount x 64 floats, of a row alone; their totals go to the image's
/// partial sums, [kCount][channels] for each image.
template <std::size_t kCount, typename Row>
void sum_rows(const SlabMaps& maps, int slab, int image, double* partial, const Row& row) {
  const std::size_t channels = static_cast<std::size_t>(maps.channels);
  double totals[kCount * kSlab] = {};
  alignas(64) float sums[kCount * kSlab];
  for (int y = 0; y < maps.size.h; ++y) {
    std::fill_n(sums, kCount * kSlab, 0.0f);
    row(y, sums);
    for (std::size_t i = 0; i < kCount * kSlab; ++i) totals[i] += double{sums[i]};
  }
  double* const to =
      partial + static_cast<std::size_t>(image) * kCount * channels + static_cast<std::size_t>(slab) * kSlab;
  for (std::size_t i = 0; i < kCount; ++i) std::copy_n(totals + i * kSlab, kSlab, to + i * channels);
}

}  // namespace

ResnetTrainingPlan plan_resnet_training(const StageTable& table, int n, int threads, ArenaLayout& layout) {
  ResnetTrainingPlan plan;
  plan.n = n;
  plan.input = table.front().out.size;
  const auto add = [&layout](const char* name, std::size_t floats) { return add_floats(layout, name, floats); };
  const auto map = [n](const MapSize& size, int channels, int border = 0) {
    return SlabMaps{nullptr, n, size, channels, border}.floats();
  };
  plan.residual = add("residual", static_cast<std::size_t>(n) * (plan.input.h + 2) * (plan.input.w + 2) * 3);
  plan.size[0] = row_of(0).out(plan.input);
  plan.conv[0] = add("convolution", map(plan.size[0], kStemChannels));
  std::size_t reduced = 0, bordered = 0, spatial = 0, wide = map(plan.size[0], kStemChannels), weights = 64 * kSlab;
  int widest = plan.size[0].w;
  for (const Stage& stage : table) {
    if (stage.kind == StageKind::stem) {
      plan.stem = stage.out.size;
      plan.stem_out = add("stem", map(plan.stem, kStemChannels));
      plan.winner = add("winners", map(plan.stem, kStemChannels) / sizeof(float));
    }
    if (stage.kind != StageKind::bottleneck) continue;
    const Bottleneck& b = bottleneck_of(stage.block);
    const int first = first_convolution(stage.block);
    for (int i = first; i < first + convolution_count(b); ++i) {
      const TrunkConvolution& c = row_of(i);
      const std::size_t at = static_cast<std::size_t>(i);
      plan.size[at] = i - first == kReduce ? stage.in.size : stage.out.size;
      plan.conv[at] = add("convolution", map(plan.size[at], c.oc));
      weights = std::max(weights, static_cast<std::size_t>(c.kernel * c.kernel) * c.ic * c.oc);
    }
    plan.out[static_cast<std::size_t>(stage.block)] = add(stage.name, map(stage.out.size, b.out()));
    reduced = std::max(reduced, map(stage.in.size, b.middle));
    bordered = std::max(bordered, map(stage.in.size, b.middle, 1));
    spatial = std::max(spatial, map(stage.out.size, b.middle));
    wide = std::max(wide, map(stage.out.size, b.out()));
    widest = std::max(widest, stage.out.size.w);
  }
  const auto layer2 = std::ranges::find(table, kLayer1End, &Stage::block);
  plan.grad = {add("gradient of the stem", map(plan.stem, kStemChannels)),
               add("gradient of layer1", map(layer2->in.size, layer2->in.channels)),
               add("gradient of layer2", map(layer2->out.size, layer2->out.channels))};
  plan.reduced = add("reduced", bordered);
  plan.spatial = add("spatial", spatial);
  plan.grad_reduced = add("gradient of reduced", reduced);
  plan.grad_spatial = add("gradient of spatial", spatial);
  plan.grad_bordered = add("gradient of spatial, bordered", bordered);
  plan.grad_wide = add("gradient of a convolution", wide);
  plan.packed = add("weights", weights);
  plan.slots = add("gradient of the weights", static_cast<std::size_t>(slot_count(n)) * weights);
  plan.partial = add("partial sums", 2 * static_cast<std::size_t>(n) * kSums * kWidest);
  plan.worker_floats = 2 * static_cast<std::size_t>(widest) * kSlab;
  plan.workers = add("workers", static_cast<std::size_t>(threads) * plan.worker_floats);
  return plan;
}

ResnetTraining::ResnetTraining(const Machine& machine) : machine_(machine), none_(kWidest), bias_(kWidest) {
  std::fill_n(none_.data(), kWidest, 0.0f);
  convolutions_.reserve(kTrunkConvolutions.size());
  for (const TrunkConvolution& c : kTrunkConvolutions)
    convolutions_.push_back({BatchNorm(c.oc), std::vector<double>(2 * static_cast<std::size_t>(c.oc))});
}

// ---- where things lie ----

NormParameters ResnetTraining::norm_parameters(int i, const ResnetStep& step) const {
  const std::size_t channels = static_cast<std::size_t>(row_of(i).oc);
  return {{none_.data(), channels},
          step.value(trunk_scale(i)),
          step.value(trunk_shift(i)),
          step.value(trunk_mean(i)),
          step.value(trunk_variance(i))};
}

SlabMaps ResnetTraining::output(int i, const ResnetStep& step) const {
  const std::size_t at = static_cast<std::size_t>(i);
  return {step.at(step.plan.conv[at]), step.plan.n, step.plan.size[at], row_of(i).oc};
}

SlabMaps ResnetTraining::output_of(int b, const ResnetStep& step) const {
  if (b < 0) return {step.at(step.plan.stem_out), step.plan.n, step.plan.stem, kStemChannels};
  SlabMaps maps = output(first_convolution(b) + kExpand, step);
  maps.data = step.at(step.plan.out[static_cast<std::size_t>(b)]);
  return maps;
}

SlabMaps ResnetTraining::input_of(int b, const ResnetStep& step) const { return output_of(b - 1, step); }

/// Of the output.
SlabMaps ResnetTraining::gradient_of(int b, const ResnetStep& step) const {
  SlabMaps maps = output_of(b, step);
  maps.data = step.at(step.plan.grad[level_of(b)]);
  return maps;
}

// ---- forward ----

void ResnetTraining::forward(const Stage& stage, const ResnetStep& step) {
  if (stage.kind == StageKind::front_end) return residual(step);
  if (stage.kind == StageKind::stem) return stem(step);
  bottleneck(stage.block, step);
}

/// What convolutions add, so that their outputs come centred.
const float* ResnetTraining::centred_bias(int i, const ResnetStep& step) {
  norm(i).begin(norm_parameters(i, step));
  std::transform(norm(i).centre(), norm(i).centre() + row_of(i).oc, bias_.data(), [](float c) { return -c; });
  return bias_.data();
}

/// The batch's statistics of a convolution's output.
void ResnetTraining::finish_norm(int i, const ResnetStep& step) {
  const SlabMaps x = output(i, step);
  double* const partial = reinterpret_cast<double*>(step.at(step.plan.partial));
  for_planes(machine_.pool, x, [&](int slab, int image) {
    sum_rows<2>(x, slab, image, partial, [&](int y, float* s) {
      machine_.training.channel_moments({static_cast<std::size_t>(x.size.w), x.row(slab, image, y), s, s + kSlab});
    });
  });
  add_parts(partial, x.n, sums(i));
  norm(i).finish(norm_parameters(i, step), sums(i), static_cast<double>(x.n) * x.size.area(), step.communicator);
}

void ResnetTraining::convolve_norm(int i, const SlabMaps& in, const ResnetStep& step) {
  const TrunkConvolution& c = row_of(i);
  float* const packed = step.at(step.plan.packed);
  pack_forward(machine_, c, step.value(trunk_weight(i)), packed);
  convolve(machine_, {in, output(i, step), c.kernel, c.stride, packed, centred_bias(i, step), nullptr});
  finish_norm(i, step);
}

/// A convolution's output through batch norm and ReLU, into maps with a border or none.
void ResnetTraining::normalize(int i, const SlabMaps& out, const ResnetStep& step) {
  const SlabMaps x = output(i, step);
  const Affine n = norm(i).norm();
  for_planes(machine_.pool, x, [&](int slab, int image) {
    const Affine of_slab = {n.scale + slab * kSlab, n.shift + slab * kSlab};
    for (int y = 0; y < x.size.h; ++y)
      machine_.training.normalize({x.size.w, kSlab, x.row(slab, image, y), of_slab, out.row(slab, image, y)});
    if (out.border > 0) clear_border(out, slab, image);
  });
}

void ResnetTraining::bottleneck(int b, const ResnetStep& step) {
  const Bottleneck& shape = bottleneck_of(b);
  const int first = first_convolution(b);
  const SlabMaps x = input_of(b, step), out = output_of(b, step);
  const SlabMaps reduced = {step.at(step.plan.reduced), x.n, x.size, shape.middle, 1};
  const SlabMaps spatial = {step.at(step.plan.spatial), x.n, out.size, shape.middle};
  convolve_norm(first + kReduce, x, step);
  normalize(first + kReduce, reduced, step);
  convolve_norm(first + kSpatial, reduced, step);
  normalize(first + kSpatial, spatial, step);
  convolve_norm(first + kExpand, spatial, step);
  if (shape.projects()) convolve_norm(first + kShortcut, x, step);

  const SlabMaps sum = output(first + kExpand, step), shortcut = shape.projects() ? output(first + kShortcut, step) : x;
  const Affine n = norm(first + kExpand).norm(), m = shape.projects() ? norm(first + kShortcut).norm() : Affine{};
  for_planes(machine_.pool, out, [&](int slab, int image) {
    const int c = slab * kSlab;
    machine_.training.join({static_cast<std::size_t>(out.size.area()),
                            sum.image(slab, image),
                            {n.scale + c, n.shift + c},
                            shortcut.image(slab, image),
                            m.scale ? Affine{m.scale + c, m.shift + c} : Affine{},
                            out.image(slab, image)});
  });
}

// ---- backward ----

void ResnetTraining::backward(const Stage& stage, const ResnetStep& step, GradientMode mode) {
  if (stage.kind == StageKind::stem) return backward_stem(step, mode);
  if (stage.kind == StageKind::bottleneck) backward_bottleneck(stage.block, step, mode);
}

/// After sums(i): of the gradient behind batch norm, and of it times the convolution's output.
void ResnetTraining::norm_backward(int i, const ResnetStep& step, GradientMode mode) {
  norm(i).backward(norm_parameters(i, step), sums(i), step.communicator, step.gradient(trunk_scale(i)),
                   step.gradient(trunk_shift(i)), mode);
}

/// The gradient of a convolution's output from that behind batch norm; `to` may be where it lies.
void ResnetTraining::apply_norm_grad(int i, const SlabMaps& grad, const SlabMaps& to, const ResnetStep& step) {
  const SlabMaps x = output(i, step);
  const BatchNorm& n = norm(i);
  for_planes(machine_.pool, x, [&](int slab, int image) {
    const int c = slab * kSlab;
    machine_.training.norm_grad({static_cast<std::size_t>(x.size.area()), grad.image(slab, image), x.image(slab, image),
                                 n.gain() + c, n.offset() + c, n.slope() + c, to.image(slab, image)});
  });
}

/// From behind ReLU to the gradient of the convolution's output, in place.
void ResnetTraining::relu_norm_backward(int i, const SlabMaps& grad, const ResnetStep& step, GradientMode mode) {
  const SlabMaps x = output(i, step);
  const Affine n = norm(i).norm();
  double* const partial = reinterpret_cast<double*>(step.at(step.plan.partial));
  for_planes(machine_.pool, x, [&](int slab, int image) {
    const Affine of_slab = {n.scale + slab * kSlab, n.shift + slab * kSlab};
    sum_rows<2>(x, slab, image, partial, [&](int y, float* s) {
      machine_.training.relu_grad({static_cast<std::size_t>(x.size.w), kSlab, x.row(slab, image, y), of_slab,
                                   grad.row(slab, image, y), s, s + kSlab});
    });
  });
  add_parts(partial, x.n, sums(i));
  norm_backward(i, step, mode);
  apply_norm_grad(i, grad, grad, step);
}

/// grad_in = the gradient of a convolution's input [+ shortcut], and that of its weights. A stride of 2 puts zeros
/// between the gradient's pixels: what a convolution of stride 1 then reads.
void ResnetTraining::convolution_backward(int i, const SlabMaps& in, const SlabMaps& grad, const SlabMaps& grad_in,
                                          const float* shortcut, const ResnetStep& step, GradientMode mode) {
  const TrunkConvolution& c = row_of(i);
  weight_gradient(machine_, {in, grad, c.kernel, c.stride, step.at(step.plan.slots), step.at(step.plan.workers),
                             step.gradient(trunk_weight(i)), mode});
  float* const packed = step.at(step.plan.packed);
  pack_backward(machine_, c, step.value(trunk_weight(i)), packed);
  SlabMaps from = grad;
  if (c.kernel > 1) {
    from = {step.at(step.plan.grad_bordered), grad.n, grad_in.size, grad.channels, 1};
    spread(machine_, grad, from, c.stride);
  }
  convolve(machine_, {from, grad_in, c.kernel, 1, packed, none_.data(), shortcut});
}

void ResnetTraining::backward_bottleneck(int b, const ResnetStep& step, GradientMode mode) {
  const Bottleneck& shape = bottleneck_of(b);
  const ResnetTrainingPlan& plan = step.plan;
  const int first = first_convolution(b), reduce = first + kReduce, convolve3 = first + kSpatial,
            expand = first + kExpand, project = first + kShortcut;
  const SlabMaps x = input_of(b, step), out = output_of(b, step), grad = gradient_of(b, step);
  const SlabMaps reduced = {step.at(plan.reduced), x.n, x.size, shape.middle, 1};
  const SlabMaps spatial = {step.at(plan.spatial), x.n, out.size, shape.middle};
  const SlabMaps grad_reduced = {step.at(plan.grad_reduced), x.n, x.size, shape.middle};
  const SlabMaps grad_spatial = {step.at(plan.grad_spatial), x.n, out.size, shape.middle};
  const SlabMaps wide = {step.at(plan.grad_wide), x.n, out.size, shape.out()};

  // ReLU of the sum, and what the batch norms of its two sides wait for.
  double* const partial = reinterpret_cast<double*>(step.at(plan.partial));
  const SlabMaps sum = output(expand, step);
  const float* const shortcut = shape.projects() ? output(project, step).data : nullptr;
  for_planes(machine_.pool, out, [&](int slab, int image) {
    sum_rows<kSums>(out, slab, image, partial, [&](int y, float* s) {
      float* const row = out.row(slab, image, y);
      const std::ptrdiff_t at = row - out.data;
      machine_.training.join_grad({static_cast<std::size_t>(out.size.w), row, grad.data + at, sum.data + at,
                                   shortcut == nullptr ? nullptr : shortcut + at, s, s + kSlab, s + 2 * kSlab});
    });
  });
  const std::size_t channels = static_cast<std::size_t>(shape.out());
  std::vector<double> all(kSums * channels);
  add_parts(partial, x.n, all);
  std::copy_n(all.begin(), 2 * channels, sums(expand).begin());
  norm_backward(expand, step, mode);
  apply_norm_grad(expand, grad, wide, step);

  normalize(convolve3, spatial, step);
  convolution_backward(expand, spatial, wide, grad_spatial, nullptr, step, mode);
  relu_norm_backward(convolve3, grad_spatial, step, mode);
  normalize(reduce, reduced, step);
  convolution_backward(convolve3, reduced, grad_spatial, grad_reduced, nullptr, step, mode);
  relu_norm_backward(reduce, grad_reduced, step, mode);

  if (!shape.projects()) return convolution_backward(reduce, x, grad_reduced, grad, grad.data, step, mode);
  std::copy_n(all.begin(), channels, sums(project).begin());
  std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(2 * channels), channels,
              sums(project).begin() + static_cast<std::ptrdiff_t>(channels));
  norm_backward(project, step, mode);
  apply_norm_grad(project, grad, wide, step);
  const SlabMaps grad_in = gradient_of(b - 1, step);
  if (shape.stride == 1) {
    convolution_backward(project, x, wide, grad_in, nullptr, step, mode);
  } else {
    const SlabMaps seen = {grad.data, x.n, out.size, x.channels};  // of the pixels that the shortcut reads
    convolution_backward(project, x, wide, seen, nullptr, step, mode);
    spread(machine_, seen, grad_in, shape.stride);
  }
  convolution_backward(reduce, x, grad_reduced, grad_in, grad_in.data, step, mode);
}

}  // namespace lfm::cpu
