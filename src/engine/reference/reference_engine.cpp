// The slow, obvious engine: the network's stages out of reference/operations.h, every map kept in double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "lfm/error.h"
#include "src/engine/reference/operations.h"
#include "src/model/front_end.h"

namespace lfm {
namespace {

using reference::BatchStatistics;
using reference::Maps;
using reference::Selection;

struct Block {
  Maps conv;                   // x [oc]
  BatchStatistics statistics;  // of conv; training only
  Maps norm;
  Maps relu;
  Maps out;       // max-pooled, or relu itself in the last block
  Maps grad_out;  // training only
};

struct HeadPass {
  std::vector<double> features;      // branch A: top-k values (after RBLD in training) or averages
  std::vector<double> rbld_factors;  // empty without RBLD
  Selection topk, rks;               // rks.value: branch B's features
  std::vector<double> grad_features, grad_rks;
  std::vector<double> grad_logits_a, grad_logits_b;
};

std::vector<float> to_float(const std::vector<double>& values) { return {values.begin(), values.end()}; }

class ReferenceEngine final : public Engine, private Inference, private Training {
 public:
  std::string description() const override { return "reference (double precision)"; }

  Plan plan_for(const Architecture& architecture, const PlanRequest& request) const override {
    ArenaLayout layout(64);
    const auto add = [&](const char* name, int channels, const MapSize& size) {
      layout.add(name, {request.n, channels, size.h, size.w}, sizeof(double));
      if (request.mode == PlanMode::training)
        layout.add("its gradient", {request.n, channels, size.h, size.w}, sizeof(double));
    };
    if (architecture.trunk == Trunk::resnet) {
      for (const Stage& stage : stages(architecture, request.height, request.width))
        add(stage.name, stage.out.channels, stage.out.size);
      return layout.plan();
    }
    const NetworkShape shape = network_shape(architecture, request.height, request.width);
    add(stage_of(StageKind::front_end).name, kChannels[0], shape.input);
    for (int b = 0; b < kBlocks; ++b) {
      for (const char* map : {"convolution", "batch norm", "ReLU"}) add(map, kChannels[b + 1], shape.conv[b]);
      add(block_stage(b).name, kChannels[b + 1], shape.out[b]);
    }
    add("maps", kMapChannels, shape.maps());
    return layout.plan();
  }

  bool computes(const Architecture& architecture, PlanMode mode) const override {
    return architecture.trunk == Trunk::snet || mode == PlanMode::inference;
  }
  Inference& inference() override { return *this; }
  Training& training() override { return *this; }
  void set_communicator(Communicator communicator) override { communicator_ = std::move(communicator); }

 private:
  void take_model(const Architecture& architecture, std::span<const float> values) override {
    table_ = parameter_table(architecture);
    parameters_.assign(values.begin(), values.end());
    gradients_.assign(table_.trainable_floats, 0.0);
    m_.assign(table_.trainable_floats, 0.0f);
    v_.assign(table_.trainable_floats, 0.0f);
    linear_head_ = linear_head(architecture, values);
  }

  void make_room(const PlanRequest& request) override { map_size(architecture(), request.height, request.width); }

  // ---- inference ----

  int chunk(int, int) const override { return 4; }

  void begin(const PixelBatch& batch) override { batch_ = batch; }

  void run(const Stage& stage) override {
    switch (stage.kind) {
      case StageKind::front_end:
        residual_ = reference::residual(front_end(architecture()), batch_, architecture().normalisation);
        break;
      case StageKind::stem: stem_ = reference::max_pool3x3(reference::relu(infer_conv_norm(0, residual_))); break;
      case StageKind::bottleneck: infer_bottleneck(stage.block); break;
      case StageKind::block:
        infer_conv_norm_relu(stage.block, input_of(stage.block));
        pool(stage.block);
        break;
      case StageKind::projection: maps_ = reference::project(blocks_.back().out, value(kProjection)); break;
      case StageKind::pooling:
        head_.features = architecture().pooling == Pooling::average
                             ? reference::average_pool(maps_)
                             : reference::select_topk(maps_, architecture().k).value;
        break;
      case StageKind::head:
        logits_ =
            architecture().head == Head::linear
                ? to_float(reference::head(head_.features, value(table_.head_weight()), value(table_.head_bias())[0]))
                : to_float(reference::head(head_.features, linear_head_.weight, linear_head_.bias));
        break;
    }
  }

  void end(std::span<float> logits) override {
    if (!logits.empty()) std::ranges::copy(logits_, logits.begin());
  }

  std::optional<std::vector<float>> read(Activation activation) override {
    if (architecture().trunk == Trunk::resnet) return read_resnet(activation);
    switch (activation) {
      case Activation::block1: return to_float(blocks_[0].out.values);
      case Activation::block2: return to_float(blocks_[1].out.values);
      case Activation::block3: return to_float(blocks_[2].out.values);
      case Activation::block4: return to_float(blocks_[3].out.values);
      case Activation::maps: return to_float(maps_.values);
      case Activation::features: return to_float(head_.features);
      case Activation::grad_maps: return to_float(grad_maps_.values);
    }
    return std::nullopt;
  }

  // ---- training, forward ----

  void begin(const PixelBatch& batch, const TrainingStep& step) override {
    batch_ = batch;
    step_ = step;
  }

  void forward(const Stage& stage) override {
    switch (stage.kind) {
      case StageKind::front_end:
      case StageKind::projection:
      case StageKind::stem:
      case StageKind::bottleneck: return run(stage);  // without statistics or draws: as inference does
      case StageKind::block: train_conv_norm_relu(stage.block, input_of(stage.block)); return pool(stage.block);
      case StageKind::pooling: return train_pool();
      case StageKind::head: return train_head();
    }
  }

  TrainingResult end() override { return result_; }

  void train_pool() {
    const TrainingStep& step = step_;
    if (architecture().pooling == Pooling::average) {
      head_.features = reference::average_pool(maps_);
      return;
    }
    const int n = maps_.n, k = architecture().k;
    const std::size_t selected = static_cast<std::size_t>(n) * kMapChannels * k;
    head_.topk = reference::select_topk(maps_, k);
    head_.features = head_.topk.value;
    if (step.options.rbld) {
      const auto keep = step.injected.rbld_keep
                            ? std::vector(step.injected.rbld_keep, step.injected.rbld_keep + selected)
                            : reference::draw_rbld_keep(step.options, step.key, n, kMapChannels, k);
      head_.rbld_factors = reference::rbld_factors(step.options, k, keep);
      for (std::size_t i = 0; i < selected; ++i) head_.features[i] *= head_.rbld_factors[i];
    }
    if (step.options.rks) {
      const auto positions = step.injected.rks_index
                                 ? std::vector(step.injected.rks_index, step.injected.rks_index + selected)
                                 : reference::draw_rks_positions(step.key, n, kMapChannels, k, maps_.h * maps_.w);
      head_.rks = reference::select_at(maps_, positions, k);
    }
  }

  void train_head() {
    const TrainingStep& step = step_;
    TrainingResult& result = result_ = {};
    const auto branch = [&](const std::vector<double>& features, double weight, double& loss,
                            std::vector<double>& grad_logits) {
      const std::vector<double> logits = reference::head(features, value(kHeadWeight), value(kHeadBias)[0]);
      grad_logits.assign(logits.size(), 0.0);
      for (std::size_t i = 0; i < logits.size(); ++i) {
        if (step.labels[i] == kUnlabelled) continue;
        loss += reference::bce_with_logits(logits[i], step.labels[i]);
        grad_logits[i] = weight * step.loss_scale * reference::bce_with_logits_derivative(logits[i], step.labels[i]);
      }
      return logits;
    };
    const std::vector<double> logits = branch(head_.features, 1.0, result.loss_a, head_.grad_logits_a);
    result.logit_a = to_float(logits);
    if (step.options.rks)
      result.logit_b = to_float(branch(head_.rks.value, step.options.alpha, result.loss_b, head_.grad_logits_b));
    grad_maps_ = Maps(maps_.n, maps_.c, maps_.h, maps_.w);
    const Distillation& teacher = step.teacher;
    if (!teacher.maps.empty())
      result.distance_maps = reference::map_distance(maps_, teacher.maps, teacher.scale, teacher.weight, grad_maps_);
    if (!teacher.logits.empty()) {
      result.distance_logits = reference::logit_distance(logits, teacher.logits, teacher.scale[kMapChannels],
                                                         teacher.weight, head_.grad_logits_a);
    }
  }

  // ---- training, backward ----

  void backward(const Stage& stage, GradientMode mode) override {
    switch (stage.kind) {
      case StageKind::head: return backward_head(mode);
      case StageKind::pooling: return backward_pool();
      case StageKind::projection:
        reference::project_backward_weight(blocks_.back().out, grad_maps_, gradient(kProjection, mode));
        blocks_.back().grad_out = reference::project_backward_input(grad_maps_, value(kProjection), kChannels[kBlocks]);
        return;
      case StageKind::block: return backward_block(stage.block, mode);
      case StageKind::front_end:  // has no parameters
      case StageKind::stem:       // not trained (computes()), as bottlenecks
      case StageKind::bottleneck: return;
    }
  }

  void backward_head(GradientMode mode) {
    const auto grad_weight = gradient(kHeadWeight, mode);
    double& grad_bias = gradient(kHeadBias, mode)[0];
    head_.grad_features =
        reference::head_backward(head_.features, value(kHeadWeight), head_.grad_logits_a, grad_weight, grad_bias);
    if (step_.options.rks) {
      head_.grad_rks =
          reference::head_backward(head_.rks.value, value(kHeadWeight), head_.grad_logits_b, grad_weight, grad_bias);
    }
  }

  // Adds to what a teacher's maps left.
  void backward_pool() {
    if (architecture().pooling == Pooling::average) {
      reference::average_pool_backward(head_.grad_features, grad_maps_);
      return;
    }
    if (step_.options.rbld) {
      for (std::size_t i = 0; i < head_.grad_features.size(); ++i) head_.grad_features[i] *= head_.rbld_factors[i];
    }
    reference::select_backward(head_.topk, head_.grad_features, grad_maps_);
    if (step_.options.rks) reference::select_backward(head_.rks, head_.grad_rks, grad_maps_);
  }

  void backward_block(int b, GradientMode mode) {
    Block& block = blocks_[b];
    const Maps grad_conv = backward_norm_relu(
        b, pools(b) ? reference::max_pool2x2_backward(block.relu, block.grad_out) : block.grad_out, mode);
    reference::conv2x2_backward_weight(input_of(b), grad_conv, gradient(conv_weight(b), mode));
    if (b > 0)
      blocks_[b - 1].grad_out = reference::conv2x2_backward_input(grad_conv, value(conv_weight(b)), kChannels[b]);
  }

  double adam(const AdamOptions& options, std::uint64_t step) override {
    communicator_.sum(gradients_);
    double squares = 0;
    for (const double g : gradients_) squares += g * g;
    reference::adam(options, step, gradients_, std::span(parameters_).first(table_.trainable_floats), m_, v_);
    return std::sqrt(squares);
  }

  // ---- state ----

  void read_parameters(std::span<float> values) override { std::ranges::copy(to_float(parameters_), values.begin()); }
  void read_gradients(std::span<float> gradients) override {
    std::ranges::copy(to_float(gradients_), gradients.begin());
  }
  void read_moments(std::span<float> m, std::span<float> v) override {
    std::ranges::copy(m_, m.begin());
    std::ranges::copy(v_, v.begin());
  }
  void write_moments(std::span<const float> m, std::span<const float> v) override {
    m_.assign(m.begin(), m.end());
    v_.assign(v.begin(), v.end());
  }
  // ---- of both ----

  static bool pools(int b) { return b + 1 < kBlocks; }
  const Maps& input_of(int b) const { return b == 0 ? residual_ : blocks_[b - 1].out; }
  void pool(int b) { blocks_[b].out = pools(b) ? reference::max_pool2x2(blocks_[b].relu) : blocks_[b].relu; }
  std::span<double> value(int id) { return parameter(std::span(parameters_), table_, id); }

  // Where a stage adds its gradient: emptied first unless micro-batches accumulate.
  std::span<double> gradient(int id, GradientMode mode) {
    const auto span = parameter(std::span(gradients_), table_, id);
    if (mode == GradientMode::overwrite) std::ranges::fill(span, 0.0);
    return span;
  }

  void infer_conv_norm_relu(int b, const Maps& x) {
    Block& block = blocks_[b];
    block.conv = reference::conv2x2(x, value(conv_weight(b)), value(conv_bias(b)));
    block.norm = reference::batch_norm(block.conv, value(running_mean(b)), value(running_var(b)), value(norm_scale(b)),
                                       value(norm_shift(b)));
    block.relu = reference::relu(block.norm);
  }

  /// A convolution of the ResNet trunk and its batch norm.
  Maps infer_conv_norm(int i, const Maps& x) {
    const TrunkConvolution& c = kTrunkConvolutions[static_cast<std::size_t>(i)];
    return reference::batch_norm(reference::conv(x, value(trunk_weight(i)), c.kernel, c.stride), value(trunk_mean(i)),
                                 value(trunk_variance(i)), value(trunk_scale(i)), value(trunk_shift(i)));
  }

  void infer_bottleneck(int b) {
    const Maps& x = b == 0 ? stem_ : bottlenecks_[b - 1];
    const int first = first_convolution(b);
    const Maps reduced = reference::relu(infer_conv_norm(first + kReduce, x));
    const Maps spatial = reference::relu(infer_conv_norm(first + kSpatial, reduced));
    Maps y = infer_conv_norm(first + kExpand, spatial);
    reference::add(y, kBottlenecks[b].projects() ? infer_conv_norm(first + kShortcut, x) : x);
    bottlenecks_[b] = reference::relu(y);
    if (b + 1 == static_cast<int>(kBottlenecks.size())) maps_ = bottlenecks_[b];
  }

  std::optional<std::vector<float>> read_resnet(Activation activation) const {
    switch (activation) {
      case Activation::block1: return to_float(stem_.values);
      case Activation::block2: return to_float(bottlenecks_[kLayer1End - 1].values);
      case Activation::maps: return to_float(maps_.values);
      case Activation::features: return to_float(head_.features);
      case Activation::block3:
      case Activation::block4:
      case Activation::grad_maps: break;
    }
    return std::nullopt;
  }

  void train_conv_norm_relu(int b, const Maps& x) {
    Block& block = blocks_[b];
    block.conv = reference::conv2x2(x, value(conv_weight(b)), value(conv_bias(b)));
    block.statistics = reference::batch_statistics(block.conv, communicator_);
    block.norm = reference::batch_norm(block.conv, block.statistics.mean, block.statistics.variance,
                                       value(norm_scale(b)), value(norm_shift(b)));
    block.relu = reference::relu(block.norm);
    reference::update_running_statistics(block.statistics, value(running_mean(b)), value(running_var(b)));
  }

  // The convolution's bias shifts every value of a channel, which batch norm takes away again: its gradient stays zero.
  Maps backward_norm_relu(int b, const Maps& grad_relu, GradientMode mode) {
    Block& block = blocks_[b];
    const Maps grad_norm = reference::relu_backward(block.norm, grad_relu);
    return reference::batch_norm_backward(block.conv, block.statistics, value(norm_scale(b)), grad_norm,
                                          gradient(norm_scale(b), mode), gradient(norm_shift(b), mode), communicator_);
  }

  ParameterTable table_ = parameter_table({});
  std::vector<double> parameters_;  // always numbers that a float holds, as checkpoints keep floats
  std::vector<double> gradients_;
  std::vector<float> m_, v_;
  Communicator communicator_;
  PixelBatch batch_;
  TrainingStep step_;
  TrainingResult result_;

  Maps residual_;
  std::array<Block, kBlocks> blocks_;
  Maps stem_;
  std::array<Maps, kBottlenecks.size()> bottlenecks_;
  LinearHead linear_head_;
  Maps maps_, grad_maps_;
  HeadPass head_;
  std::vector<float> logits_;
};

}  // namespace

std::unique_ptr<Engine> make_reference_engine() { return std::make_unique<ReferenceEngine>(); }

}  // namespace lfm
