// The CUDA engine's inference. Images cross on one stream and are computed on another; events pass them over. Two
// passes may be under way: while one computes, the next one's images are copied.
#include "src/engine/cuda/cuda_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "kernels/topk_pool.h"
#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/cuda/pack.h"
#include "src/engine/cuda/pass_size.h"
#include "src/engine/cuda/precisions.h"
#include "src/engine/cuda/weights.h"
#include "src/engine/out_of_memory.h"
#include "src/engine/precision.h"

namespace lfm::inline LFM_TARGET {

namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 30;  // of activations
constexpr int kMaxChunk = 96;  // images: 768 blocks of threads in the smallest grid at 256 x 256
constexpr std::size_t kMaxGraphs =
    512;  // numbers of images of one size, in two places each; or as many places of a benchmark's

/// Calls copy(offset in the batch, from, bytes) for each stretch of images that follow each other in memory.
template <typename Copy>
void for_each_run(const PixelBatch& batch, Copy copy) {
  for (int first = 0, end = 0; first < batch.n; first = end) {
    end = first + 1;
    while (end < batch.n && batch.image(end) == batch.image(end - 1) + batch.image_bytes()) ++end;
    copy(static_cast<std::size_t>(first) * batch.image_bytes(), batch.image(first),
         static_cast<std::size_t>(end - first) * batch.image_bytes());
  }
}

/// The stage behind which nothing reads a pass's pixels any more, by its index.
constexpr int kFirstOfTrunk = 1;
static_assert(kStages[kFirstOfTrunk].block == 0 && kResnetStages[kFirstOfTrunk].kind == StageKind::stem);

bool wanted(const char* variable) {
  const char* value = std::getenv(variable);
  return !value || std::string_view(value) != "off";
}

}  // namespace

CudaEngine::CudaEngine(int ordinal, std::string description, Precision precision,
                       std::function<void(const std::string&)> note, Precision training, const Providers& providers)
    : context_(ordinal),
      description_(std::move(description)),
      precision_(precision),
      training_precision_(training),
      note_(std::move(note)),
      use_graphs_(wanted("LFM_CUDA_GRAPHS")),
      recipe_(with_providers(choose(context_.capability(), precision,
                                    {.winograd = wanted("LFM_CUDA_WINOGRAD"), .wgmma = wanted("LFM_CUDA_WGMMA")}),
                             providers)),
      splits_(wanted("LFM_CUDA_SPLIT")),
      upload_(context_),
      compute_(context_),
      slots_{Slot(context_), Slot(context_)},
      chunk_limit_(kMaxChunk) {
  require_precision(training, "training", {Precision::fp32, Precision::tf32, Precision::bf16});
  if (!recipe_.providers.all_own()) libraries_.emplace(recipe_.providers);
}

// Work under way uses the memory that goes now.
CudaEngine::~CudaEngine() {
  for (device::Stream* stream : {&upload_, &compute_}) {
    try {
      stream->synchronize();
    } catch (const Error&) {  // whoever waited for its results has been told
    }
  }
}

std::string CudaEngine::description() const {
  const std::string training = training_precision_ == Precision::fp32
                                   ? ""
                                   : fmt::format(", training in {}", precision_name(training_precision_));
  const std::string libraries = description_of(recipe_.providers);
  return fmt::format("{} ({}, {}{}{}{})", description_, context_.name(), precision_name(precision_), training,
                     libraries.empty() ? "" : "; ", libraries);
}

std::string CudaEngine::computed_by(const Stage& stage) const {
  const Provider provider = recipe_.providers[stage];
  return provider == Provider::own ? "" : std::string(provider_name(provider));
}

std::string CudaEngine::remedy(const Architecture& architecture, PlanMode mode) const {
  if (architecture.trunk == Trunk::snet) return "";
  if (libraries_) return "leave out --kernels";
  if (mode == PlanMode::inference || training_precision_ == Precision::fp32) return "";
  return fmt::format("leave out --precision {}: a GPU trains them in fp32", precision_name(training_precision_));
}

void CudaEngine::take_model(const Architecture& architecture, std::span<const float> values) {
  if (architecture.pooling == Pooling::topk && architecture.k > kernels::kMaxListK) {
    throw Error(ErrorCode::model,
                fmt::format("the model selects k = {} values per channel; this engine can up to {}: use --device cpu",
                            architecture.k, kernels::kMaxListK));
  }
  context_.make_current();
  wait(0);
  compute_.synchronize();
  training_.reset();
  folded_changes_ = 0;
  n_ = 0;
  waiting_ = 0;
  if (architecture != this->architecture()) plan_ = {};
  if (libraries_) libraries_->forget();
  parameters_.assign(values.begin(), values.end());
  upload_weights(architecture, values);
}

void CudaEngine::upload_weights(const Architecture& architecture, std::span<const float> values) {
  const WeightPlan plan = plan_weights(architecture, recipe_);
  device::PinnedMemory staging(context_, plan.arena.bytes);
  pack_weights(staging.data(), plan, architecture, values);
  if (weights_.bytes() != plan.arena.bytes) weights_ = device::Memory(context_, plan.arena.bytes);
  compute_.copy_to_device(weights_.data(), staging.data(), plan.arena.bytes);
  compute_.synchronize();
  weight_plan_ = plan;
  forget_graphs();
}

void CudaEngine::make_room(const PlanRequest& request) {
  if (request.mode == PlanMode::training) return training().make_room(request);
  if (request.n <= plan_.n && request.height == plan_.height && request.width == plan_.width) return;
  context_.make_current();
  const InferencePlan plan = plan_pass(architecture(), request.n, request.height, request.width);
  wait(0);
  upload_.synchronize();
  compute_.synchronize();
  plan_ = {};  // nothing is planned should an allocation fail
  if (libraries_) libraries_->forget();
  n_ = 0;
  waiting_ = 0;
  forget_graphs();
  try {
    take_memory(plan);
  } catch (const OutOfMemory& error) {
    if (request.n == 1) throw;
    chunk_limit_ = request.n / 2;
    if (note_) note_(fmt::format("{}; going on with batches of {}", error.what(), chunk_limit_));
    throw;
  }
  plan_ = plan;
  if (libraries_) libraries_->prepare(plan_, architecture(), plan_.n);
}

void CudaEngine::take_memory(const InferencePlan& plan) {
  if (arena_.bytes() < plan.arena.bytes) {
    arena_ = {};
    arena_ = device::Memory(context_, plan.arena.bytes);
  }
  const auto grow = [&](device::PinnedMemory& memory, std::size_t bytes) {
    if (memory.bytes() >= bytes) return;
    memory = {};
    memory = device::PinnedMemory(context_, bytes);
  };
  for (Slot& slot : slots_) {
    grow(slot.pixels, plan.pixels[0].bytes());
    grow(slot.logits, plan.logits.bytes());
  }
}

InferencePlan CudaEngine::plan_pass(const Architecture& architecture, int n, int height, int width) const {
  return plan_inference(architecture, n, height, width, recipe_, splits_ ? context_.multiprocessors() : 0);
}

Plan CudaEngine::plan_for(const Architecture& architecture, const PlanRequest& request) const {
  if (request.mode == PlanMode::training) {
    return plan_training(architecture, request.n, request.height, request.width, training_precision_, request.teacher)
        .arena;
  }
  return plan_pass(architecture, request.n, request.height, request.width).arena;
}

int CudaEngine::chunk(int height, int width) const {
  const InferencePlan image = plan_pass(architecture(), 1, height, width);
  // What libraries take beside counts not: with them a pass has as many images as without.
  const std::size_t bytes =
      image.arena.bytes - image.workspace.bytes() - image.unpooled.bytes() - image.unfolded.bytes();
  const auto most = std::clamp<std::size_t>(kChunkBytes / bytes, 1, static_cast<std::size_t>(chunk_limit_));
  const auto grids = is_resnet() ? resnet_grids(image.resnet) : convolution_grids(recipe_, image.shape);
  return images_of_a_pass(grids, static_cast<int>(most), context_.multiprocessors());
}

InferencePass CudaEngine::pass() const {
  return {&plan_,         arena_.data(),
          &weight_plan_,  weights_.data(),
          architecture(), n_,
          pixels_,        libraries_ ? &*libraries_ : nullptr};
}

void CudaEngine::begin(const PixelBatch& batch) {
  context_.make_current();
  launch_stages();  // of a pass that was left in the middle
  refresh_weights();
  if (libraries_) libraries_->prepare(plan_, architecture(), batch.n);
  n_ = batch.n;
  slot_ ^= 1;
  Slot& slot = slots_[slot_];
  deliver(slot);

  if (batch.memory == PixelMemory::device) {
    pixels_ = batch.pixels;
  } else {
    upload(slot, batch);
  }
}

// Pageable memory is copied to pinned memory first, by this thread.
void CudaEngine::upload(Slot& slot, const PixelBatch& batch) {
  const device::Range range("upload", n_);
  PixelBatch pinned = batch;
  if (batch.memory == PixelMemory::host) {
    slot.uploaded.synchronize();
    auto* staging = reinterpret_cast<std::uint8_t*>(slot.pixels.data());
    for_each_run(batch, [&](std::size_t at, const std::uint8_t* from, std::size_t bytes) {
      std::memcpy(staging + at, from, bytes);
    });
    pinned.pixels = staging;
    pinned.images = nullptr;
  }
  std::byte* to = arena_.data() + plan_.pixels[slot_].offset;
  slot.consumed.make_wait(upload_);
  for_each_run(pinned, [&](std::size_t at, const std::uint8_t* from, std::size_t bytes) {
    upload_.copy_to_device(to + at, from, bytes);
  });
  slot.uploaded.record(upload_);
  slot.uploaded.make_wait(compute_);
  pixels_ = reinterpret_cast<const std::uint8_t*>(to);
}

PixelBuffer CudaEngine::host_memory(std::size_t bytes) {
  const auto memory = std::make_shared<device::PinnedMemory>(context_, bytes);
  return {memory, reinterpret_cast<std::uint8_t*>(memory->data())};
}

PixelBuffer CudaEngine::place(const PixelBatch& batch) {
  const PixelBuffer pinned = host_memory(batch.bytes());
  std::memcpy(pinned.get(), batch.pixels, batch.bytes());
  const auto memory = std::make_shared<device::Memory>(context_, batch.bytes());
  compute_.copy_to_device(memory->data(), pinned.get(), batch.bytes());
  compute_.synchronize();
  return {memory, reinterpret_cast<std::uint8_t*>(memory->data())};
}

void CudaEngine::adopt(const PixelBatch& batch) {
  if (!context_.holds(batch.pixels)) {
    throw Error(ErrorCode::usage, fmt::format("the pixels do not lie in the memory of {}", description_));
  }
  context_.synchronize();
}

void CudaEngine::end(std::span<float> logits) {
  context_.make_current();
  launch_pass();
  if (logits.empty()) return;
  Slot& slot = slots_[slot_];
  compute_.copy_to_host(slot.logits.data(), arena_.data() + plan_.logits.offset,
                        static_cast<std::size_t>(n_) * sizeof(float));
  slot.finished.record(compute_);
  slot.results = logits.first(static_cast<std::size_t>(n_));
}

// Launches what was asked for and is not yet on its way.
void CudaEngine::launch_stages() {
  const unsigned waiting = std::exchange(waiting_, 0);
  const InferencePass work = pass();
  for (const Stage& stage : stage_table(architecture())) {
    if ((waiting >> stage.index & 1u) == 0 || is_fused(work, stage)) continue;
    const device::Range range(range_name(stage, recipe_.providers[stage]), n_, stage.index);
    launch_stage(work, stage, compute_.handle());
    if (stage.index == kFirstOfTrunk) slots_[slot_].consumed.record(compute_);
  }
}

// What is left of the pass; a whole one as a graph, if its shape has come before.
void CudaEngine::launch_pass() {
  const std::span<const Stage> table = stage_table(architecture());
  const unsigned whole = (1u << table.size()) - 1;
  if (!use_graphs_ || waiting_ != whole) return launch_stages();
  if (graphs_.size() >= kMaxGraphs && !graphs_.contains({n_, pixels_})) graphs_.clear();
  PassGraph& known = graphs_[{n_, pixels_}];
  if (known.seen++ == 0) return launch_stages();
  if (!known.graph) {
    known.graph = device::Graph(compute_, [table, work = pass(), stream = compute_.handle()] {
      for (const Stage& stage : table) launch_stage(work, stage, stream);
    });
  }
  const device::Range range("pass", n_);
  known.graph.launch(compute_);
  slots_[slot_].consumed.record(compute_);
  waiting_ = 0;
}

void CudaEngine::deliver(Slot& slot) {
  if (slot.results.empty()) return;
  const std::span<float> results = std::exchange(slot.results, {});
  slot.finished.synchronize();
  std::memcpy(results.data(), slot.logits.data(), results.size_bytes());
}

void CudaEngine::wait(int left) {
  context_.make_current();
  if (left < 2) deliver(slots_[slot_ ^ 1]);  // the earlier one
  if (left < 1) deliver(slots_[slot_]);
}

void CudaEngine::mark(std::size_t index) {
  context_.make_current();
  launch_stages();
  while (marks_.size() <= index) marks_.emplace_back(context_);
  marks_[index].record(compute_);
}

double CudaEngine::milliseconds_between(std::size_t from, std::size_t to) {
  return marks_.at(to).milliseconds_since(marks_.at(from));
}

// Of the images of the last pass, as it lies on the device.
std::vector<std::byte> CudaEngine::download(const Region& region) {
  context_.make_current();
  launch_stages();
  const std::size_t bytes = region.bytes() / static_cast<std::size_t>(plan_.n) * static_cast<std::size_t>(n_);
  const device::PinnedMemory staging(context_, bytes);
  compute_.copy_to_host(staging.data(), arena_.data() + region.offset, bytes);
  compute_.synchronize();
  return {staging.data(), staging.data() + bytes};
}

std::optional<std::vector<float>> CudaEngine::read(Activation activation) {
  if (n_ == 0 || plan_.n == 0) return std::nullopt;
  const auto positions = [&](const Region& region) -> std::optional<std::vector<float>> {
    if (region.bytes() == 0) return std::nullopt;
    const auto& [images, h, w, channels] = region.shape;
    return channels_first(to_floats(download(region), recipe_.precision), n_, static_cast<int>(h * w),
                          static_cast<int>(channels));
  };
  switch (activation) {
    case Activation::block1: return positions(is_resnet() ? plan_.resnet.stem : plan_.blocks[0]);
    case Activation::block2: return positions(is_resnet() ? plan_.resnet.layer1 : plan_.blocks[1]);
    case Activation::block3: return positions(plan_.blocks[2]);
    case Activation::block4: return positions(plan_.blocks[3]);
    case Activation::maps: return to_floats(download(plan_.maps), Precision::fp32);
    case Activation::features: return to_floats(download(plan_.features), Precision::fp32);
    case Activation::grad_maps: return std::nullopt;
  }
  return std::nullopt;
}

// ---- training ----

// Most engines only infer: the optimizer's memory is taken when training first asks for it.
CudaTraining& CudaEngine::training() {
  require(architecture(), PlanMode::training);
  context_.make_current();
  if (!training_) {
    training_ = std::make_unique<CudaTraining>(context_, compute_, architecture(), parameters_, training_precision_);
    training_->set_communicator(communicator_, collective_.get());
  }
  return *training_;
}

// Before inference: folds the parameters and statistics that training has moved.
void CudaEngine::refresh_weights() {
  if (!training_ || training_->changes() == folded_changes_) return;
  training_->read_parameters(parameters_);
  upload_weights(architecture(), parameters_);
  folded_changes_ = training_->changes();
}

void CudaEngine::set_communicator(Communicator communicator) {
  communicator_ = std::move(communicator);
  compute_.synchronize();
  collective_ = communicator_.size > 1 ? device::make_collective(context_, communicator_) : nullptr;
  if (training_) training_->set_communicator(communicator_, collective_.get());
}

}  // namespace lfm::inline LFM_TARGET

namespace lfm {

#if defined(LFM_TARGET_EMULATED)

std::string why_no_emulation() { return ""; }

std::unique_ptr<Engine> make_emulated_engine(Precision precision, std::function<void(const std::string&)> note,
                                             Precision training, const Providers& providers) {
  return std::make_unique<CudaEngine>(0, "emulated", precision == Precision::automatic ? Precision::fp16 : precision,
                                      std::move(note), training, providers);
}

#else

std::unique_ptr<Engine> make_cuda_engine(int device, Precision precision, std::function<void(const std::string&)> note,
                                         Precision training, const Providers& providers) {
  const CudaDevices found = cuda_devices();
  if (found.devices.empty()) {
    throw Error(ErrorCode::device,
                fmt::format("no CUDA device can be used: {}; --device cpu works everywhere", found.reason));
  }
  const auto known = std::find_if(found.devices.begin(), found.devices.end(),
                                  [&](const CudaDevice& d) { return d.ordinal == device; });
  if (known == found.devices.end()) {
    std::string list;
    for (const CudaDevice& d : found.devices)
      list += fmt::format("{}cuda:{} ({})", list.empty() ? "" : ", ", d.ordinal, d.name);
    throw Error(ErrorCode::device, fmt::format("there is no cuda:{}; this machine has {}", device, list));
  }
  const EnginePrecisions chosen = engine_precisions(*known, precision, training);
  if (note && !chosen.note.empty()) note(chosen.note);
  return std::make_unique<CudaEngine>(device, fmt::format("cuda:{}", device), chosen.inference, std::move(note),
                                      chosen.training, providers);
}

#endif

}  // namespace lfm
