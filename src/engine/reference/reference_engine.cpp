// The slow, obvious engine: the network's stages out of reference/operations.h, every map kept in double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "lfm/error.h"
#include "src/engine/reference/operations.h"
#include "src/engine/reference/parameters.h"
#include "src/engine/reference/resnet.h"
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
  std::vector<double> grad_outputs_a, grad_outputs_b;
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

  Inference& inference() override { return *this; }
  Training& training() override { return *this; }
  void set_communicator(Communicator communicator) override { communicator_ = std::move(communicator); }

 private:
  void take_model(const Architecture& architecture, std::span<const float> values) override {
    parameters_.table = parameter_table(architecture);
    const std::size_t trainable = parameters_.table.trainable_floats;
    parameters_.values.assign(values.begin(), values.end());
    parameters_.gradients.assign(trainable, 0.0);
    m_.assign(trainable, 0.0f);
    v_.assign(trainable, 0.0f);
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
      case StageKind::stem:
      case StageKind::bottleneck:
        resnet_.forward(stage, residual_, parameters_, reference::Statistics::running, communicator_);
        break;
      case StageKind::block:
        infer_conv_norm_relu(stage.block, input_of(stage.block));
        pool(stage.block);
        break;
      case StageKind::projection: maps_ = reference::project(blocks_.back().out, value(kProjection)); break;
      case StageKind::pooling:
        head_.features = architecture().pooling == Pooling::average
                             ? reference::average_pool(maps())
                             : reference::select_topk(maps(), architecture().k).value;
        break;
      case StageKind::head: logits_ = to_float(logits_of(head_outputs(head_.features))); break;
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
      case StageKind::projection: return run(stage);  // without statistics or draws: as inference does
      case StageKind::stem:
      case StageKind::bottleneck:
        return resnet_.forward(stage, residual_, parameters_, reference::Statistics::batch, communicator_);
      case StageKind::block: train_conv_norm_relu(stage.block, input_of(stage.block)); return pool(stage.block);
      case StageKind::pooling: return train_pool();
      case StageKind::head: return train_head();
    }
  }

  TrainingResult end() override { return result_; }

  void train_pool() {
    const TrainingStep& step = step_;
    const Maps& x = maps();
    if (architecture().pooling == Pooling::average) {
      head_.features = reference::average_pool(x);
      return;
    }
    const int k = architecture().k;
    const std::size_t selected = static_cast<std::size_t>(x.n) * x.c * k;
    head_.topk = reference::select_topk(x, k);
    head_.features = head_.topk.value;
    if (step.options.rbld) {
      const auto keep = step.injected.rbld_keep
                            ? std::vector(step.injected.rbld_keep, step.injected.rbld_keep + selected)
                            : reference::draw_rbld_keep(step.options, step.key, x.n, x.c, k);
      head_.rbld_factors = reference::rbld_factors(step.options, k, keep);
      for (std::size_t i = 0; i < selected; ++i) head_.features[i] *= head_.rbld_factors[i];
    }
    if (step.options.rks) {
      const auto positions = step.injected.rks_index
                                 ? std::vector(step.injected.rks_index, step.injected.rks_index + selected)
                                 : reference::draw_rks_positions(step.key, x.n, x.c, k, x.h * x.w);
      head_.rks = reference::select_at(x, positions, k);
    }
  }

  void train_head() {
    const TrainingStep& step = step_;
    TrainingResult& result = result_ = {};
    const std::size_t outputs = static_cast<std::size_t>(output_count(architecture()));
    const auto branch = [&](const std::vector<double>& features, double weight, double& loss,
                            std::vector<double>& grad_outputs) {
      const std::vector<double> y = head_outputs(features);
      grad_outputs.assign(y.size(), 0.0);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::uint8_t label = step.labels[i / outputs];
        if (label == kUnlabelled) continue;
        const std::size_t o = i % outputs;
        const std::span<const double> of_image(&y[i - o], outputs);
        double derivative = 0;
        if (outputs == 1) {
          loss += reference::bce_with_logits(y[i], label);
          derivative = reference::bce_with_logits_derivative(y[i], label);
        } else {
          if (o == 0) loss += reference::softmax_cross_entropy(of_image, label);
          derivative = reference::softmax_cross_entropy_derivative(of_image, label, o);
        }
        grad_outputs[i] = weight * step.loss_scale * derivative;
      }
      return logits_of(y);
    };
    const std::vector<double> logits = branch(head_.features, 1.0, result.loss_a, head_.grad_outputs_a);
    result.logit_a = to_float(logits);
    if (step.options.rks)
      result.logit_b = to_float(branch(head_.rks.value, step.options.alpha, result.loss_b, head_.grad_outputs_b));
    const Maps& x = maps();
    grad_maps() = Maps(x.n, x.c, x.h, x.w);
    const Distillation& teacher = step.teacher;
    if (!teacher.maps.empty())
      result.distance_maps = reference::map_distance(x, teacher.maps, teacher.scale, teacher.weight, grad_maps());
    if (!teacher.logits.empty()) {
      result.distance_logits = reference::logit_distance(logits, teacher.logits, teacher.scale[kMapChannels],
                                                         teacher.weight, head_.grad_outputs_a);
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
      case StageKind::stem:
      case StageKind::bottleneck: return resnet_.backward(stage, residual_, parameters_, mode, communicator_);
      case StageKind::front_end: return;  // has no parameters
    }
  }

  void backward_head(GradientMode mode) {
    const auto weight = value(head_weight());
    const auto grad_weight = gradient(head_weight(), mode), grad_bias = gradient(head_bias(), mode);
    head_.grad_features =
        reference::head_backward(head_.features, weight, head_.grad_outputs_a, grad_weight, grad_bias);
    if (step_.options.rks) {
      head_.grad_rks = reference::head_backward(head_.rks.value, weight, head_.grad_outputs_b, grad_weight, grad_bias);
    }
  }

  // Adds to what a teacher's maps left.
  void backward_pool() {
    if (architecture().pooling == Pooling::average) {
      reference::average_pool_backward(head_.grad_features, grad_maps());
      return;
    }
    if (step_.options.rbld) {
      for (std::size_t i = 0; i < head_.grad_features.size(); ++i) head_.grad_features[i] *= head_.rbld_factors[i];
    }
    reference::select_backward(head_.topk, head_.grad_features, grad_maps());
    if (step_.options.rks) reference::select_backward(head_.rks, head_.grad_rks, grad_maps());
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
    std::vector<double>& gradients = parameters_.gradients;
    communicator_.sum(gradients);
    double squares = 0;
    for (const double g : gradients) squares += g * g;
    reference::adam(options, step, gradients, std::span(parameters_.values).first(gradients.size()), m_, v_);
    return std::sqrt(squares);
  }

  // ---- state ----

  void read_parameters(std::span<float> values) override {
    std::ranges::copy(to_float(parameters_.values), values.begin());
  }
  void read_gradients(std::span<float> gradients) override {
    std::ranges::copy(to_float(parameters_.gradients), gradients.begin());
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
  std::span<double> value(int id) { return parameters_.value(id); }
  std::span<double> gradient(int id, GradientMode mode) { return parameters_.gradient(id, mode); }
  int head_weight() const { return parameters_.table.head_weight(); }
  int head_bias() const { return parameters_.table.head_bias(); }

  // What is pooled.
  bool is_resnet() const { return architecture().trunk == Trunk::resnet; }
  const Maps& maps() const { return is_resnet() ? resnet_.maps() : maps_; }
  Maps& grad_maps() { return is_resnet() ? resnet_.grad_maps() : grad_maps_; }

  /// [n][outputs]
  std::vector<double> head_outputs(const std::vector<double>& features) {
    return reference::head(features, value(head_weight()), value(head_bias()));
  }
  /// Of a softmax the difference of its two outputs: its score is their sigmoid.
  std::vector<double> logits_of(const std::vector<double>& outputs) const {
    if (architecture().head == Head::linear) return outputs;
    std::vector<double> logits(outputs.size() / 2);
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = outputs[2 * i + 1] - outputs[2 * i];
    return logits;
  }

  void infer_conv_norm_relu(int b, const Maps& x) {
    Block& block = blocks_[b];
    block.conv = reference::conv2x2(x, value(conv_weight(b)), value(conv_bias(b)));
    block.norm = reference::batch_norm(block.conv, value(running_mean(b)), value(running_var(b)), value(norm_scale(b)),
                                       value(norm_shift(b)));
    block.relu = reference::relu(block.norm);
  }

  std::optional<std::vector<float>> read_resnet(Activation activation) const {
    switch (activation) {
      case Activation::block1: return to_float(resnet_.stem().values);
      case Activation::block2: return to_float(resnet_.layer1().values);
      case Activation::maps: return to_float(resnet_.maps().values);
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

  reference::Parameters parameters_;
  std::vector<float> m_, v_;
  Communicator communicator_;
  PixelBatch batch_;
  TrainingStep step_;
  TrainingResult result_;

  Maps residual_;
  std::array<Block, kBlocks> blocks_;
  Maps maps_, grad_maps_;
  reference::ResnetTrunk resnet_;
  HeadPass head_;
  std::vector<float> logits_;
};

}  // namespace

std::unique_ptr<Engine> make_reference_engine() { return std::make_unique<ReferenceEngine>(); }

}  // namespace lfm
