#include "src/engine/cpu/training/training.h"

#include <algorithm>
#include <cmath>

namespace lfm::cpu {
namespace {

constexpr std::size_t kAlign = kAlignment / sizeof(float);

/// What pooling and head leave.
void add_features(TrainingPlan& plan, const Architecture& architecture, ArenaLayout& layout) {
  const std::size_t features = static_cast<std::size_t>(plan.n) * static_cast<std::size_t>(feature_count(architecture));
  plan.features = add_floats(layout, "features", features);
  plan.auxiliary = add_floats(layout, "features of RKS", features);
  plan.factor = add_floats(layout, "RBLD factors", features);
  plan.position = add_floats(layout, "top-k positions", features);
  plan.drawn = add_floats(layout, "RKS positions", features);
}

TrainingPlan plan_resnet(const Architecture& architecture, const PlanRequest& request, int threads) {
  TrainingPlan plan;
  plan.n = request.n;
  plan.map = map_size(architecture, request.height, request.width);
  ArenaLayout layout(kAlignment);
  plan.resnet = plan_resnet_training(stages(architecture, request.height, request.width), request.n, threads, layout);
  plan.maps = plan.resnet.out.back();
  plan.grad_maps = plan.resnet.grad.back();
  add_features(plan, architecture, layout);
  plan.arena = layout.plan();
  return plan;
}

}  // namespace

TrainingPlan plan_training(const Architecture& architecture, const PlanRequest& request, int threads,
                           int winner_bytes) {
  if (architecture.trunk == Trunk::resnet) return plan_resnet(architecture, request, threads);
  TrainingPlan plan;
  plan.n = request.n;
  plan.shape = network_shape(architecture, request.height, request.width);
  plan.map = plan.shape.maps();
  const std::size_t n = static_cast<std::size_t>(request.n);
  const auto map = [n](const MapSize& size, int channels) {
    return n * static_cast<std::size_t>(size.area()) * channels;
  };
  ArenaLayout layout(kAlignment);
  const auto add = [&layout](const char* name, std::size_t floats) { return add_floats(layout, name, floats); };
  std::size_t partial = n * 2 * kLastChannels, filters = 0;
  std::size_t worker = std::max(FirstBlock::worker_floats(plan.shape), projection_worker_floats());
  for (std::size_t i = 0; i < 3; ++i) {
    const int b = static_cast<int>(i) + 1;
    plan.conv[i] = plan_conv_training(request.n, plan.shape, b);
    partial = std::max({partial, plan.conv[i].forward_sums(), plan.conv[i].backward_sums()});
    filters = std::max(filters, plan.conv[i].filter_floats());
    worker = std::max(worker, plan.conv[i].worker_floats());
    plan.conv_out[i] = add("convolution", map(plan.shape.conv[b], kChannels[b + 1]));
    plan.pooled[i] = add("pooled", map(plan.shape.out[i], kChannels[i + 1]));
  }
  for (std::size_t b = 1; b < kBlocks; ++b)
    plan.grad_pooled[b] = add("gradient of a block", map(plan.shape.out[b], kChannels[b + 1]));
  plan.grad_pooled[0] = add("gradient of a block", map(plan.shape.out[0], kChannels[1]));
  plan.winner =
      add("winners", n * plan.shape.out[0].area() * static_cast<std::size_t>(winner_bytes) / sizeof(float) + kAlign);
  plan.maps = add("maps", map(plan.shape.maps(), kMapChannels));
  plan.grad_maps = add("gradient of the maps", map(plan.shape.maps(), kMapChannels));
  add_features(plan, architecture, layout);
  plan.filters = add("filters", filters);
  plan.grad_filters = add("gradient of the filters", static_cast<std::size_t>(slot_count(request.n)) * filters);
  plan.first_images = add("moments of the pixels", n * FirstBlock::kImageFloats);
  plan.partial = add("partial sums", 2 * partial);
  plan.workers = add("workers", static_cast<std::size_t>(threads) * padded_floats(worker));
  plan.arena = layout.plan();
  return plan;
}

CpuTraining::CpuTraining(const Kernels& kernels, ThreadPool& pool)
    : machine_{kernels, training_kernels(kernels), pool},
      norm_{BatchNorm(kChannels[2]), BatchNorm(kChannels[3]), BatchNorm(kChannels[4])},
      sums_(2 * kLastChannels),
      identity_(2 * kLastChannels),
      resnet_(machine_) {
  std::fill_n(identity_.data(), kLastChannels, 1.0f);
  std::fill_n(identity_.data() + kLastChannels, kLastChannels, 0.0f);
  for (std::size_t i = 0; i < 3; ++i) grad_sums_[i].resize(2 * static_cast<std::size_t>(kChannels[i + 2]));
}

void CpuTraining::load(const Architecture& architecture, std::span<float> values) {
  ++changes_;
  architecture_ = architecture;
  table_ = parameter_table(architecture);
  values_ = values;
  state_ = {};
  plan_ = {};
}

std::span<float> CpuTraining::state(std::size_t index) {
  const std::size_t count = table_.trainable_floats;
  if (state_.size() == 0) {
    state_ = Buffer(3 * count);
    std::fill_n(state_.data(), state_.size(), 0.0f);
  }
  return {state_.data() + index * count, count};
}

void CpuTraining::reserve(const PlanRequest& request) {
  plan_ = plan_training(architecture_, request, machine_.pool.threads(), machine_.training.winner_bytes);
  arena_.grow(plan_.arena);
}

Plan CpuTraining::plan_for(const Architecture& architecture, const PlanRequest& request) const {
  return plan_training(architecture, request, machine_.pool.threads(), machine_.training.winner_bytes).arena;
}

NormParameters CpuTraining::norm_parameters(int b) const {
  return {value(conv_bias(b)), value(norm_scale(b)), value(norm_shift(b)), value(running_mean(b)),
          value(running_var(b))};
}

FirstBlock::Pass CpuTraining::first_pass() const {
  return {architecture_.front_end,
          batch_,
          plan_.shape,
          norm_parameters(0),
          value(conv_weight(0)),
          at(plan_.pooled[0]),
          reinterpret_cast<std::uint8_t*>(at(plan_.winner)),
          at(plan_.first_images),
          at(plan_.workers)};
}

PoolingPass CpuTraining::pooling_pass() const {
  return {architecture_,
          plan_.n,
          plan_.map.area(),
          at(plan_.maps),
          {at(plan_.features), at(plan_.auxiliary), at(plan_.factor),
           reinterpret_cast<std::int32_t*>(at(plan_.position)), reinterpret_cast<std::int32_t*>(at(plan_.drawn))}};
}

Projection CpuTraining::projection() const {
  return {plan_.n, plan_.shape.maps().area(), at(plan_.conv_out[2]), norm_[2].norm(), value(kProjection)};
}

ResnetStep CpuTraining::resnet_step() {
  return {architecture_, plan_.resnet, arena_.data(), batch_, table_, values_, gradients(), communicator_};
}

/// What block b does to its input as it reads it: ReLU follows, which changes nothing of block 1's output.
Affine CpuTraining::input_norm(int b) const {
  return b == 1 ? Affine{identity_.data(), identity_.data() + kLastChannels}
                : norm_[static_cast<std::size_t>(b) - 2].norm();
}

// ---- forward ----

void CpuTraining::begin(const PixelBatch& batch, const TrainingStep& step) {
  batch_ = batch;
  step_ = step;
  ++changes_;
}

void CpuTraining::forward(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::front_end:
      if (is_resnet()) resnet_.forward(stage, resnet_step());
      return;  // block 1 computes it
    case StageKind::stem:
    case StageKind::bottleneck: return resnet_.forward(stage, resnet_step());
    case StageKind::block:
      return stage.block == 0 ? first_.forward(machine_, first_pass(), communicator_) : forward_conv(stage.block);
    case StageKind::projection:
      return projection_forward(machine_, projection(), at(plan_.maps), at(plan_.filters), at(plan_.workers));
    case StageKind::pooling:
      return pool_forward(machine_.pool, pooling_pass(), step_.options, step_.key, step_.injected);
    case StageKind::head: return head();
  }
}

void CpuTraining::forward_conv(int b) {
  const std::size_t i = static_cast<std::size_t>(b) - 1;
  const ConvTraining& plan = plan_.conv[i];
  const std::span<double> sums(sums_.data(), 2 * static_cast<std::size_t>(plan.oc));
  BatchNorm& norm = norm_[i];
  norm.begin(norm_parameters(b));
  conv_forward(machine_, plan,
               {.in = at(plan_.pooled[i]),
                .in_norm = input_norm(b),
                .weight = value(conv_weight(b)),
                .centre = norm.centre(),
                .sign = norm.sign(),
                .conv = at(plan_.conv_out[i]),
                .pooled = plan.pool ? at(plan_.pooled[i + 1]) : nullptr,
                .filters = at(plan_.filters),
                .workers = at(plan_.workers),
                .partial = reinterpret_cast<double*>(at(plan_.partial)),
                .sums = sums});
  norm.finish(norm_parameters(b), sums, static_cast<double>(plan.n) * plan.conv.area(), communicator_);
}

void CpuTraining::head() {
  const auto labels = step_.labels;
  const float loss_scale = step_.loss_scale;
  const Distillation& teacher = step_.teacher;
  head_ = linear_head(architecture_, values_);
  TrainingResult& result = result_ = {};
  main_.features = at(plan_.features);
  head_forward(main_, head_, labels, double{loss_scale});
  result.logit_a = main_.logits;
  result.loss_a = main_.loss;
  if (step_.options.rks) {
    auxiliary_.features = at(plan_.auxiliary);
    head_forward(auxiliary_, head_, labels, double{step_.options.alpha} * double{loss_scale});
    result.logit_b = auxiliary_.logits;
    result.loss_b = auxiliary_.loss;
  }
  maps_taught_ = !teacher.maps.empty();
  if (maps_taught_) {
    result.distance_maps =
        map_distance(machine_.pool, plan_.n, plan_.shape.maps().area(), at(plan_.maps), teacher, at(plan_.grad_maps));
  }
  if (!teacher.logits.empty()) result.distance_logits = logit_distance(main_, teacher);
}

// ---- backward ----

void CpuTraining::backward(const Stage& stage, GradientMode mode) {
  switch (stage.kind) {
    case StageKind::head: return backward_head(mode);
    case StageKind::pooling: return backward_pool();
    case StageKind::projection:
      return projection_backward(
          machine_, projection(),
          {at(plan_.grad_maps), at(plan_.grad_pooled[3]), at(plan_.grad_filters), gradient(kProjection), mode,
           reinterpret_cast<double*>(at(plan_.partial)), grad_sums_[2]});
    case StageKind::block:
      if (stage.block > 0) return backward_conv(stage.block, mode);
      return first_.backward(
          machine_, first_pass(),
          {at(plan_.grad_pooled[0]), gradient(conv_weight(0)), gradient(norm_scale(0)), gradient(norm_shift(0)), mode},
          communicator_);
    case StageKind::stem:
    case StageKind::bottleneck: return resnet_.backward(stage, resnet_step(), mode);
    case StageKind::front_end: return;  // has no parameters
  }
}

void CpuTraining::backward_head(GradientMode mode) {
  const Branch* branches[] = {&main_, &auxiliary_};
  head_backward(std::span(branches).first(step_.options.rks ? 2 : 1), gradient(table_.head_weight()),
                gradient(table_.head_bias()), mode);
}

void CpuTraining::backward_pool() {
  const std::span<const double> auxiliary =
      step_.options.rks ? std::span<const double>(auxiliary_.grad_logits) : std::span<const double>();
  pool_backward(machine_.pool, pooling_pass(), main_.grad_logits, auxiliary, head_.weight,
                maps_taught_ ? GradientMode::accumulate : GradientMode::overwrite, at(plan_.grad_maps));
}

void CpuTraining::backward_conv(int b, GradientMode mode) {
  const std::size_t i = static_cast<std::size_t>(b) - 1;
  norm_[i].backward(norm_parameters(b), grad_sums_[i], communicator_, gradient(norm_scale(b)), gradient(norm_shift(b)),
                    mode);
  const std::span<double> in_sums = b > 1 ? std::span(grad_sums_[i - 1]) : std::span<double>();
  conv_backward(machine_, plan_.conv[i],
                {.in = at(plan_.pooled[i]),
                 .in_norm = input_norm(b),
                 .weight = value(conv_weight(b)),
                 .conv = at(plan_.conv_out[i]),
                 .norm = norm_[i],
                 .grad = at(plan_.grad_pooled[i + 1]),
                 .filters = at(plan_.filters),
                 .grad_filters = at(plan_.grad_filters),
                 .grad_weight = gradient(conv_weight(b)),
                 .mode = mode,
                 .grad_in = at(plan_.grad_pooled[i]),
                 .workers = at(plan_.workers),
                 .partial = reinterpret_cast<double*>(at(plan_.partial)),
                 .in_sums = in_sums});
}

double CpuTraining::adam(const AdamOptions& options, std::uint64_t step) {
  ++changes_;
  constexpr int ranges = 32;  // tasks; the norm is summed in their order
  const std::span<float> gradient = gradients(), m = moments_m(), v = moments_v();
  communicator_.sum(gradient);
  const double correction1 = 1 - std::pow(double{options.beta1}, static_cast<double>(step));
  const double correction2 = 1 - std::pow(double{options.beta2}, static_cast<double>(step));
  std::array<double, ranges> squares{};
  const int groups = static_cast<int>(gradient.size() / kAlign);
  machine_.pool.run(ranges, [&](int range, int) {
    const std::size_t first = static_cast<std::size_t>(part_begin(groups, range, ranges)) * kAlign;
    const std::size_t last = static_cast<std::size_t>(part_begin(groups, range + 1, ranges)) * kAlign;
    for (std::size_t i = first; i < last; ++i)
      squares[static_cast<std::size_t>(range)] += double{gradient[i]} * double{gradient[i]};
    machine_.training.adam({last - first, values_.data() + first, m.data() + first, v.data() + first,
                            gradient.data() + first, options.beta1, options.beta2, options.eps, options.weight_decay,
                            static_cast<float>(double{options.learning_rate} / correction1),
                            static_cast<float>(1 / std::sqrt(correction2))});
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  return std::sqrt(sum);
}

// ---- reading ----

void CpuTraining::read_parameters(std::span<float> values) { std::ranges::copy(values_, values.begin()); }
void CpuTraining::read_gradients(std::span<float> values) { std::ranges::copy(gradients(), values.begin()); }
void CpuTraining::read_moments(std::span<float> m, std::span<float> v) {
  std::ranges::copy(moments_m(), m.begin());
  std::ranges::copy(moments_v(), v.begin());
}
void CpuTraining::write_moments(std::span<const float> m, std::span<const float> v) {
  std::ranges::copy(m, moments_m().begin());
  std::ranges::copy(v, moments_v().begin());
}

/// [n][pixel][channel] to [n][channel][pixel], normalised and through ReLU.
std::vector<float> CpuTraining::channels_first(const float* data, MapSize size, int channels,
                                               const Affine& norm) const {
  const std::size_t area = static_cast<std::size_t>(size.area()), count = static_cast<std::size_t>(channels);
  std::vector<float> out(static_cast<std::size_t>(plan_.n) * area * count);
  for (std::size_t image = 0; image < static_cast<std::size_t>(plan_.n); ++image) {
    for (std::size_t p = 0; p < area; ++p, data += count) {
      for (std::size_t c = 0; c < count; ++c) {
        out[(image * count + c) * area + p] =
            norm.scale ? std::max(0.0f, norm.scale[c] * data[c] + norm.shift[c]) : data[c];
      }
    }
  }
  return out;
}

/// [channels/64][n][pixel][64] to [n][channel][pixel].
std::vector<float> CpuTraining::channels_first(const SlabMaps& maps) const {
  const std::size_t area = static_cast<std::size_t>(maps.size.area());
  std::vector<float> out;
  out.reserve(maps.floats());
  for (int image = 0; image < maps.n; ++image) {
    for (int c = 0; c < maps.channels; ++c) {
      const float* from = maps.image(c / kSlab, image) + c % kSlab;
      for (std::size_t p = 0; p < area; ++p) out.push_back(from[p * kSlab]);
    }
  }
  return out;
}

std::optional<std::vector<float>> CpuTraining::read_resnet(Activation activation) const {
  const ResnetTrainingPlan& plan = plan_.resnet;
  const std::size_t layer1 = kLayer1End - 1,
                    features = static_cast<std::size_t>(plan_.n * feature_count(architecture_));
  switch (activation) {
    case Activation::block1: return channels_first(SlabMaps{at(plan.stem_out), plan.n, plan.stem, kStemChannels});
    case Activation::block2:
      return channels_first(SlabMaps{at(plan.out[layer1]), plan.n, plan.stem, kBottlenecks[layer1].out()});
    case Activation::maps: return channels_first(SlabMaps{at(plan_.maps), plan.n, plan_.map, kResnetMapChannels});
    case Activation::features: return std::vector<float>(at(plan_.features), at(plan_.features) + features);
    case Activation::block3:
    case Activation::block4:
    case Activation::grad_maps: break;  // the last is gone: bottlenecks pass it on in place
  }
  return std::nullopt;
}

std::optional<std::vector<float>> CpuTraining::read(Activation activation) {
  if (is_resnet()) return read_resnet(activation);
  switch (activation) {
    case Activation::block1:
    case Activation::block2:
    case Activation::block3: {
      const int b = static_cast<int>(activation) - static_cast<int>(Activation::block1);
      const std::size_t i = static_cast<std::size_t>(b);
      return channels_first(at(plan_.pooled[i]), plan_.shape.out[i], kChannels[i + 1], input_norm(b + 1));
    }
    case Activation::block4:
      return channels_first(at(plan_.conv_out[2]), plan_.shape.maps(), kLastChannels, norm_[2].norm());
    case Activation::maps: return channels_first(at(plan_.maps), plan_.shape.maps(), kMapChannels, {});
    case Activation::grad_maps: return channels_first(at(plan_.grad_maps), plan_.shape.maps(), kMapChannels, {});
    case Activation::features:
      return std::vector<float>(at(plan_.features),
                                at(plan_.features) + static_cast<std::size_t>(plan_.n) * feature_count(architecture_));
  }
  return std::nullopt;
}

}  // namespace lfm::cpu
