// What every engine implements: the network's stages (model/stages.h), forward and backward, and where pixels and
// parameters lie. engine/network.cpp runs the table of stages and is the one place that shows the whole model, and that
// checks what it is given. An engine owns the layout of its buffers and fuses stages as it likes; nothing virtual lies
// below a stage.
//
// Stages communicate through the engine's own activations, which live in one arena per role, sized by reserve() and
// never reallocated per step. Calls come from one thread. All errors are lfm::Error.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "lfm/precision.h"
#include "src/engine/cuda/provider.h"
#include "src/engine/plan.h"
#include "src/model/architecture.h"
#include "src/model/label.h"
#include "src/model/rbld.h"

namespace lfm {

/// Whose memory pixels lie in, and so how long they must stay there.
enum class PixelMemory {
  host,    ///< anybody's: free again when the call returns, once the engine has copied or used them
  pinned,  ///< of Engine::host_memory(): read where they lie, until the pass has been waited for
  device,  ///< where the engine computes: of Engine::place(), or what Engine::adopt() was told of
};

/// n images of one size, each [height][width][3] uint8. height and width as decoded: an odd last row or column is
/// dropped by the engine.
struct PixelBatch {
  const std::uint8_t* pixels = nullptr;  ///< of the images, one after the other
  int n = 0;
  int height = 0;
  int width = 0;
  PixelMemory memory = PixelMemory::host;
  /// Where each image lies, [n], in place of `pixels`; must stay as long as the pixels. Inference alone takes it, and
  /// not on the device.
  const std::uint8_t* const* images = nullptr;

  std::size_t image_bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  std::size_t bytes() const { return static_cast<std::size_t>(n) * image_bytes(); }
  const std::uint8_t* image(int i) const {
    return images ? images[i] : pixels + static_cast<std::size_t>(i) * image_bytes();
  }
  PixelBatch part(int first, int count) const {
    if (images) return {nullptr, count, height, width, memory, images + first};
    return {image(first), count, height, width, memory};
  }
};

/// Memory for pixels that came from an engine, and must go before it.
using PixelBuffer = std::shared_ptr<std::uint8_t[]>;

/// What regularises and weighs the training step (paper, sections 3.3 and 3.4).
struct TrainingOptions {
  bool rbld = true;
  float p_min = 0.1f;  ///< drop probability of the smallest of the k
  float p_max = 0.3f;  ///< of the largest; linear in between
  RbldScale rbld_scale = RbldScale::mean;
  bool rks = true;     ///< the auxiliary branch; without it the loss is BCE(logit_a) alone
  float alpha = 0.1f;  ///< weight of the auxiliary branch's loss
};

/// Keys of the counter-based generator (src/random/philox.h) for one micro-batch: the same image at the same step draws
/// the same numbers on every engine, thread count and batch split.
struct DrawKey {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  int first_image = 0;  ///< index in the global batch of the micro-batch's first image
};

/// Injected draws, for tests: [n][64][k], rank 0 = largest. Null pointers: drawn from the key.
struct InjectedDraws {
  const std::uint8_t* rbld_keep = nullptr;  ///< 1 = kept
  const std::int32_t* rks_index = nullptr;  ///< positions in the flattened map, in any order
};

struct AdamOptions {
  float learning_rate = 1e-4f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float eps = 1e-8f;
  float weight_decay = 0.0f;  ///< L2, added to the gradient as torch.optim.Adam does
};

/// What a teacher says of a micro-batch. The distance of an image to it is
///   mean over channels c and positions p of smooth((map[c][p] - maps[c][p]) * scale[c])  +
///   smooth((logit_a - logit) * scale[64])
/// with smooth(d) = d^2 / 2 where |d| < 1, else |d| - 1/2. Empty members are not compared.
struct Distillation {
  std::span<const float> maps;    ///< [n][64][h][w], as Inference::read(Activation::maps) of another engine gives them
  std::span<const float> logits;  ///< [n]
  std::span<const float> scale;   ///< [65]: of each channel's maps, and of the logits
  float weight = 0;               ///< of the gradient: 1 / images of the whole batch is a part of it

  bool any() const { return !maps.empty() || !logits.empty(); }
};

/// Per-image results of a training step's forward pass. Losses are sums over the micro-batch, not means.
struct TrainingResult {
  std::vector<float> logit_a;
  std::vector<float> logit_b;  ///< empty without RKS
  double loss_a = 0;           ///< sum over images of BCE(logit_a, y)
  double loss_b = 0;
  double distance_maps = 0;  ///< the two terms of Distillation's distance, unweighted
  double distance_logits = 0;
};

/// Activations that tests, explanation and evaluation may read, as float [n][c][h][w] (features: [n][feature_count]);
/// maps are what is pooled. With the ResNet trunk block1 is what the stem gives, block2 what layer1 does, and there are
/// no others.
enum class Activation { block1, block2, block3, block4, maps, features, grad_maps };

enum class GradientMode { overwrite, accumulate };

enum class PlanMode { inference, training };

/// What an engine must have room for.
struct PlanRequest {
  int n = 0;
  int height = 0;
  int width = 0;
  PlanMode mode = PlanMode::inference;
  bool teacher = false;  ///< training: a Distillation will come with the head
};

/// Sums arrays over the processes of a data-parallel run, in a fixed order, so that all get the same bits; the default
/// is a single process. Every process makes the same calls in the same order, each of which waits for the others.
struct Communicator {
  int rank = 0;
  int size = 1;
  std::function<void(std::span<double>)> sum_doubles;  ///< in place; empty when size == 1
  std::function<void(std::span<float>)> sum_floats;

  void sum(std::span<double> values) const {
    if (size > 1) sum_doubles(values);
  }
  void sum(std::span<float> values) const {
    if (size > 1) sum_floats(values);
  }
};

/// What a micro-batch's forward pass needs beside its pixels; what it points to must stay until Training::end().
struct TrainingStep {
  std::span<const std::uint8_t> labels;  ///< kReal, kFake, or kUnlabelled, whose image adds nothing to losses A and B
  /// 1 / images of the whole (global) batch; the gradients are those of
  /// loss_scale * (sum A + alpha * sum B) + the teacher's weight * sum of distances.
  float loss_scale = 1;
  TrainingOptions options = {};
  DrawKey key = {};
  InjectedDraws injected = {};
  Distillation teacher = {};
};

/// Passes with running statistics, neither RBLD nor RKS: begin(), every stage in order, end().
class Inference {
 public:
  virtual ~Inference() = default;

  /// Takes the images, for which room was reserved. Their pixels must stay until end(), unless PixelMemory asks for
  /// longer.
  virtual void begin(const PixelBatch& batch) = 0;
  virtual void run(const Stage& stage) = 0;
  /// The pass's logits [n], which are on the host once it has been waited for; with an empty span they stay in the
  /// engine.
  virtual void end(std::span<float> logits) = 0;
  /// Waits until at most `left` passes are under way, the latest ones. Until a pass has been waited for, its logits
  /// must stay where they were; the next one may begin before.
  virtual void wait([[maybe_unused]] int left) {}
  /// Copies an activation of the last pass to the host; nothing where the engine never materialises it.
  virtual std::optional<std::vector<float>> read(Activation activation) = 0;

  /// Images of this size that are best passed through all stages together; parts_of_batch() (network.h) cuts up larger
  /// batches. Smaller after reserve() has thrown OutOfMemory.
  virtual int chunk(int height, int width) const = 0;
  /// Batches that should have begun before the first of them is waited for: one is copied while another is computed.
  virtual int batches_under_way() const { return 1; }
};

/// Training steps: begin(), every stage forward with batch statistics, end(), every stage backward from the last on;
/// then Adam. Running statistics are updated on the way.
class Training {
 public:
  virtual ~Training() = default;

  /// Takes the images, as many as room was reserved for. Their pixels must stay until the first block has gone
  /// backward.
  virtual void begin(const PixelBatch& batch, const TrainingStep& step) = 0;
  virtual void forward(const Stage& stage) = 0;
  virtual TrainingResult end() = 0;
  virtual void backward(const Stage& stage, GradientMode mode) = 0;
  /// On all trainable parameters; step counts from 1. Returns the L2 norm of the gradient it applied.
  virtual double adam(const AdamOptions& options, std::uint64_t step) = 0;
  /// As Inference::read(), of the last step.
  virtual std::optional<std::vector<float>> read(Activation activation) = 0;

  // State, laid out by parameter_table.
  virtual void read_parameters(std::span<float> values) = 0;              ///< total_floats
  virtual void read_gradients(std::span<float> gradients) = 0;            ///< trainable_floats
  virtual void read_moments(std::span<float> m, std::span<float> v) = 0;  ///< trainable_floats each
  virtual void write_moments(std::span<const float> m, std::span<const float> v) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  /// For people: "cpu (AVX-512, 2 threads)".
  virtual std::string description() const = 0;

  /// Copies the model's parameters; folds and packs what inference wants. Resets the optimizer and gives up the room
  /// that was reserved. Throws Error{model} where they are not as many as the architecture has, Error{usage} where the
  /// engine does not compute it.
  void load(const Architecture& architecture, std::span<const float> values);
  const Architecture& architecture() const { return architecture_; }

  /// Makes room for the request, and keeps the arena if it already has.
  void reserve(const PlanRequest& request);
  /// What there is room for; n = 0: nothing.
  const PlanRequest& room(PlanMode mode) const { return room_[static_cast<std::size_t>(mode)]; }

  /// The arena that reserve(request) would take for a model of that architecture, by arithmetic alone: none need be
  /// loaded.
  virtual Plan plan_for(const Architecture& architecture, const PlanRequest& request) const = 0;
  /// What to do where it lacks what passes or steps with that architecture take: "use --precision fp32"; empty where it
  /// has it.
  virtual std::string remedy(const Architecture&, PlanMode) const { return ""; }
  bool computes(const Architecture& architecture, PlanMode mode) const { return remedy(architecture, mode).empty(); }
  /// Throws Error{usage} with the remedy where it does not compute it, as load(), reserve() and infer() do.
  void require(const Architecture& architecture, PlanMode mode) const;
  /// The same, of the model that is.
  Plan plan(const PlanRequest& request) const { return plan_for(architecture_, request); }

  virtual Inference& inference() = 0;
  /// Of the model that was loaded last; goes with it.
  virtual Training& training() = 0;
  /// What the convolutions multiply; parameters, sums, statistics and moments are FP32 always.
  virtual Precision precision([[maybe_unused]] PlanMode mode) const { return Precision::fp32; }
  /// Sums gradients over processes, and batch-norm statistics inside the stages.
  virtual void set_communicator(Communicator communicator) = 0;

  // ---- memory ----

  /// Host memory for pixels, uninitialised, that passes need not copy before they use it: page-locked where they cross
  /// to a device. Any thread may ask for it at any time.
  virtual PixelBuffer host_memory(std::size_t bytes);
  /// Whether passes read host_memory() faster than any other.
  virtual bool prefers_own_memory() const { return false; }
  /// A copy of the batch where the engine computes, for any number of passes.
  virtual PixelBuffer place(const PixelBatch& batch);
  /// Lets passes read, as PixelMemory::device, pixels that others have written to the GPU's memory: waits for all that
  /// runs on it. Throws Error{usage} where they lie elsewhere.
  virtual void adopt(const PixelBatch& batch);
  /// Bytes of the last cache before the device's memory; 0: pixels in a cache make no difference.
  virtual std::size_t cache_bytes() const { return 0; }

  /// The library that computes a stage of SNet's inference; empty where the engine does.
  virtual std::string computed_by(const Stage&) const { return ""; }

  // ---- time, for benchmarks ----

  /// Takes the time when all work asked for before is done: by an event on a GPU, by the host's clock elsewhere. Never
  /// waits.
  virtual void mark(std::size_t index);
  /// From one mark to another, each as taken last; waits for the later one.
  virtual double milliseconds_between(std::size_t from, std::size_t to);
  virtual const char* clock() const { return "host"; }

 protected:
  virtual void take_model(const Architecture& architecture, std::span<const float> values) = 0;
  virtual void make_room(const PlanRequest& request) = 0;

 private:
  Architecture architecture_;
  PlanRequest room_[2];  // by PlanMode
  std::vector<std::chrono::steady_clock::time_point> marks_;
};

/// The engines, each behind its own factory. threads 0: all cores this process may use. precision: of inference;
/// Error{usage} names the choices where the engine lacks it. note is told when a batch had to be halved for want of
/// memory.
std::unique_ptr<Engine> make_reference_engine();
std::unique_ptr<Engine> make_cpu_engine(int threads = 0, Precision precision = Precision::automatic);
std::vector<Precision> cpu_precisions();  ///< what make_cpu_engine takes on this machine; `automatic` is the first
/// Error{device} where there is no such GPU, and in a build without CUDA. training: fp32, tf32 or bf16; a GPU that
/// lacks it trains in FP32, and note is told.
std::unique_ptr<Engine> make_cuda_engine(int device = 0, Precision precision = Precision::automatic,
                                         std::function<void(const std::string&)> note = {},
                                         Precision training = Precision::fp32, const Providers& providers = {});
/// The CUDA engine's runtime and kernels on the emulated device of kernels/simt: exact, and slow. Error{device} in a
/// build without it.
std::unique_ptr<Engine> make_emulated_engine(Precision precision = Precision::automatic,
                                             std::function<void(const std::string&)> note = {},
                                             Precision training = Precision::fp32, const Providers& providers = {});
std::string why_no_emulation();  ///< empty where this build has the emulated device

}  // namespace lfm
