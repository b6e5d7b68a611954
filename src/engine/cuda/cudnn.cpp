// cuDNN's graph interface: tensors, operations between them, a graph of the operations, the engines that its heuristics
// name for the graph, and a plan that one of them makes. A convolution with bias and ReLU is three operations; what
// lies between them is virtual: it never reaches memory.
#include "src/engine/cuda/cudnn.h"

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "lfm/error.h"
#include "src/engine/cuda/open_library.h"
#include "src/engine/precision.h"

#if __has_include(<cudnn.h>)
#include <cudnn.h>
#endif

namespace lfm {

constexpr LibraryFile kCudnnFile{"cuDNN", "libcudnn",
                                 "cuDNN 9: the Python package nvidia-cudnn-cu13, NVIDIA's cudnn9-cuda-13 for Debian"};

#if __has_include(<cudnn.h>)

// clang-format off
#define LFM_CUDNN_FUNCTIONS(of) \
  of(cudnnGetVersion) of(cudnnGetErrorString) of(cudnnGetLastErrorString) of(cudnnCreate) of(cudnnDestroy) \
  of(cudnnSetStream) of(cudnnBackendCreateDescriptor) of(cudnnBackendDestroyDescriptor) \
  of(cudnnBackendSetAttribute) of(cudnnBackendGetAttribute) of(cudnnBackendFinalize) of(cudnnBackendExecute)
// clang-format on

struct Cudnn::State {
#define LFM_DECLARE(name) decltype(&::name) name = nullptr;
  LFM_CUDNN_FUNCTIONS(LFM_DECLARE)
#undef LFM_DECLARE

  cudnnHandle_t handle = nullptr;  // null: plans for the device of the properties
  cudnnBackendDescriptor_t properties = nullptr;
  kernels::Stream stream = nullptr;  // of the handle

  State();
  ~State();
  void check(cudnnStatus_t status, const std::string& what) const;
};

Cudnn::State::State() {
  const OpenLibrary library(kCudnnFile, CUDNN_MAJOR);
#define LFM_FIND(name) library.find(name, #name);
  LFM_CUDNN_FUNCTIONS(LFM_FIND)
#undef LFM_FIND
#undef LFM_CUDNN_FUNCTIONS
}

Cudnn::State::~State() {
  if (handle) cudnnDestroy(handle);
  if (properties) cudnnBackendDestroyDescriptor(properties);
}

void Cudnn::State::check(cudnnStatus_t status, const std::string& what) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 1024> cause{};
  cudnnGetLastErrorString(cause.data(), cause.size() - 1);
  throw Error(ErrorCode::device, fmt::format("cuDNN {}: {} failed: {}{}{}", cudnnGetVersion(), what,
                                             cudnnGetErrorString(status), cause[0] ? ", " : "", cause.data()));
}

namespace {

template <typename T>
constexpr cudnnBackendAttributeType_t kAttributeType = CUDNN_TYPE_INT64;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<bool> = CUDNN_TYPE_BOOLEAN;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<float> = CUDNN_TYPE_FLOAT;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<char> = CUDNN_TYPE_CHAR;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;
template <>
constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendDescriptor_t> =
    CUDNN_TYPE_BACKEND_DESCRIPTOR;  // which is a void*: arrays' addresses name their type themselves

/// Owns one of the backend's descriptors. `what`, in errors: "the plan".
class Descriptor {
 public:
  Descriptor(const Cudnn::State& cudnn, cudnnBackendDescriptorType_t type, const char* what)
      : cudnn_(&cudnn), what_(what) {
    cudnn.check(cudnn.cudnnBackendCreateDescriptor(type, &descriptor_), fmt::format("beginning {}", what));
  }
  Descriptor(Descriptor&& other) noexcept
      : cudnn_(other.cudnn_), what_(other.what_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (descriptor_) cudnn_->cudnnBackendDestroyDescriptor(descriptor_);
  }
  cudnnBackendDescriptor_t get() const { return descriptor_; }

  template <typename T, std::size_t kCount>
  Descriptor& set(cudnnBackendAttributeName_t name, const std::array<T, kCount>& values) {
    return set(name, values.data(), kCount);
  }
  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set(name, &value, 1);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) { return set(name, other.get()); }
  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T* values, std::size_t count,
                  cudnnBackendAttributeType_t type = kAttributeType<T>) {
    cudnn_->check(cudnn_->cudnnBackendSetAttribute(descriptor_, name, type, static_cast<std::int64_t>(count), values),
                  fmt::format("setting attribute {} of {}", static_cast<int>(name), what_));
    return *this;
  }
  cudnnStatus_t try_finalize() const { return cudnn_->cudnnBackendFinalize(descriptor_); }
  Descriptor&& finalize() {
    cudnn_->check(try_finalize(), fmt::format("finishing {}", what_));
    return std::move(*this);
  }
  /// Writes at most `most` elements; returns how many there are.
  template <typename T>
  std::int64_t get(cudnnBackendAttributeName_t name, T* values, std::int64_t most) const {
    std::int64_t count = 0;
    cudnn_->check(cudnn_->cudnnBackendGetAttribute(descriptor_, name, kAttributeType<T>, most, &count, values),
                  fmt::format("reading attribute {} of {}", static_cast<int>(name), what_));
    return count;
  }

 private:
  const Cudnn::State* cudnn_;
  const char* what_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

enum TensorId : std::int64_t { kX = 1, kW, kY, kBias, kSums, kBiased };

cudnnDataType_t cudnn_type(Precision precision) {
  switch (precision) {
    case Precision::fp16: return CUDNN_DATA_HALF;
    case Precision::bf16: return CUDNN_DATA_BFLOAT16;
    default: return CUDNN_DATA_FLOAT;
  }
}

/// channels first in name, channels last in memory.
Descriptor tensor(const Cudnn::State& cudnn, TensorId id, cudnnDataType_t type, int n, int c, int h, int w) {
  const std::int64_t plane = std::int64_t{h} * w * c;
  Descriptor made(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor");
  made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::array<std::int64_t, 4>{n, c, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::array<std::int64_t, 4>{plane, 1, std::int64_t{w} * c, c})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<std::int64_t>(id))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16});
  if (id == kSums || id == kBiased) made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  return made.finalize();
}

Descriptor pointwise(const Cudnn::State& cudnn, cudnnPointwiseMode_t mode) {
  Descriptor made(cudnn, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "an operation by elements");
  made.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  return made.finalize();
}

/// The attributes' names of the three passes' operations.
struct PassNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t alpha, beta, convolution, x, w, y;
};

const PassNames& names_of(ConvolutionPass pass) {
  static constexpr PassNames forward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
  static constexpr PassNames input = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
  static constexpr PassNames weight = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  switch (pass) {
    case ConvolutionPass::input_gradient: return input;
    case ConvolutionPass::weight_gradient: return weight;
    case ConvolutionPass::forward: break;
  }
  return forward;
}

/// Its operations; the descriptors that they name must live until the graph is finished.
std::vector<Descriptor> operations(const Cudnn::State& cudnn, const ConvolutionProblem& p) {
  const cudnnDataType_t type = cudnn_type(p.precision);
  const bool forward = p.pass == ConvolutionPass::forward;
  const Descriptor x = tensor(cudnn, kX, type, p.n, p.ic, p.h, p.w), w = tensor(cudnn, kW, type, p.oc, p.ic, 2, 2);
  const auto output = [&](TensorId id, cudnnDataType_t of) {
    return tensor(cudnn, id, of, p.n, p.oc, p.h - 1, p.w - 1);
  };
  const Descriptor y = output(kY, type);
  constexpr std::array<std::int64_t, 2> kOnes = {1, 1}, kZeros = {0, 0};
  Descriptor convolution(cudnn, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution");
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, kOnes)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, kOnes)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, kZeros)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, kZeros);
  convolution.finalize();
  std::vector<Descriptor> all;
  const PassNames& names = names_of(p.pass);
  const Descriptor sums = output(kSums, CUDNN_DATA_FLOAT);
  Descriptor convolve(cudnn, names.operation, "the convolution");
  convolve.set(names.alpha, 1.0f).set(names.beta, 0.0f).set(names.convolution, convolution);
  convolve.set(names.x, x).set(names.w, w).set(names.y, forward ? sums : y);
  all.push_back(convolve.finalize());
  if (!forward) return all;
  const Descriptor bias = tensor(cudnn, kBias, type, 1, p.oc, 1, 1), biased = output(kBiased, CUDNN_DATA_FLOAT);
  Descriptor add(cudnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "the bias");
  add.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(cudnn, CUDNN_POINTWISE_ADD))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, sums)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, biased);
  all.push_back(add.finalize());
  Descriptor relu(cudnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "the ReLU");
  relu.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(cudnn, CUDNN_POINTWISE_RELU_FWD))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, biased)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  all.push_back(relu.finalize());
  return all;
}

/// What the heuristics of a mode name for the graph, best first.
std::vector<Descriptor> engine_configurations(const Cudnn::State& cudnn, const Descriptor& graph,
                                              cudnnBackendHeurMode_t mode) {
  constexpr std::int64_t kMost = 16;
  Descriptor heuristics(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "the heuristics");
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (cudnn.properties) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, cudnn.properties);
  std::vector<Descriptor> found;
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return found;
  std::array<cudnnBackendDescriptor_t, kMost> raw{};
  for (cudnnBackendDescriptor_t& one : raw) {
    found.emplace_back(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "an engine's configuration");
    one = found.back().get();
  }
  const std::int64_t count = heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, raw.data(), kMost);
  while (static_cast<std::int64_t>(found.size()) > count) found.pop_back();
  return found;
}

/// Whether an engine rounds FP32 before it multiplies.
bool rounds_inputs(const Cudnn::State& cudnn, const Descriptor& configuration) {
  Descriptor engine(cudnn, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine");
  cudnnBackendDescriptor_t raw = engine.get();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, &raw, 1);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, notes.data(), notes.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto note = notes[static_cast<std::size_t>(i)];
    if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) return true;
  }
  return false;
}

}  // namespace

Cudnn::Cudnn() : state_(std::make_unique<State>()) {
  state_->check(state_->cudnnCreate(&state_->handle), "cudnnCreate");
}

Cudnn::Cudnn(const std::string& device_properties) : state_(std::make_unique<State>()) {
  const State& s = *state_;
  s.check(s.cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &state_->properties),
          "beginning a device's properties");
  s.check(
      s.cudnnBackendSetAttribute(s.properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                 static_cast<std::int64_t>(device_properties.size() + 1), device_properties.c_str()),
      "setting a device's properties");
  s.check(s.cudnnBackendFinalize(s.properties), "finishing a device's properties");
}

int Cudnn::version() const { return static_cast<int>(state_->cudnnGetVersion()); }

struct CudnnConvolution::State {
  Cudnn::State* cudnn;
  Descriptor plan;
  std::size_t workspace;
  bool forward;
};

CudnnConvolution::CudnnConvolution(Cudnn& cudnn, const ConvolutionProblem& problem, std::size_t workspace_limit) {
  Cudnn::State& s = cudnn.state();
  const std::vector<Descriptor> parts = operations(s, problem);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& part : parts) raw.push_back(part.get());
  Descriptor graph(s, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the graph");
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, raw.data(), raw.size());
  if (s.handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, s.handle);
  graph.finalize();

  int unsupported = 0, large = 0, rounding = 0;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : engine_configurations(s, graph, mode)) {
      if (problem.precision == Precision::fp32 && rounds_inputs(s, configuration)) {
        ++rounding;
        continue;
      }
      Descriptor plan(s, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "a plan");
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (s.handle) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, s.handle);
      if (s.properties) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, s.properties);
      if (plan.try_finalize() != CUDNN_STATUS_SUCCESS) {
        ++unsupported;
        continue;
      }
      std::int64_t bytes = 0;
      plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, &bytes, 1);
      if (static_cast<std::size_t>(bytes) > workspace_limit) {
        ++large;
        continue;
      }
      state_.reset(
          new State{&s, std::move(plan), static_cast<std::size_t>(bytes), problem.pass == ConvolutionPass::forward});
      return;
    }
  }
  throw Error(
      ErrorCode::device,
      fmt::format("cuDNN {} has no plan for a 2x2 convolution of [{}][{}][{}][{}] to {} channels in {}: {} engines "
                  "do not support it, {} need more than {} bytes of workspace, {} round FP32",
                  cudnn.version(), problem.n, problem.h, problem.w, problem.ic, problem.oc,
                  precision_name(problem.precision), unsupported, large, workspace_limit, rounding));
}

std::size_t CudnnConvolution::workspace() const { return state_->workspace; }

void CudnnConvolution::launch(const Arrays& a, kernels::Stream stream) const {
  Cudnn::State& s = *state_->cudnn;
  if (s.stream != stream) {
    s.check(s.cudnnSetStream(s.handle, reinterpret_cast<cudaStream_t>(stream)), "cudnnSetStream");
    s.stream = stream;
  }
  const std::array<std::int64_t, 4> ids = {kX, kW, kY, kBias};
  const std::array<void*, 4> pointers = {a.x, a.w, a.y, const_cast<void*>(a.bias)};
  const std::size_t count = state_->forward ? 4 : 3;
  Descriptor pack(s, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the arrays");
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids.data(), count)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers.data(), count, CUDNN_TYPE_VOID_PTR)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &a.workspace, 1, CUDNN_TYPE_VOID_PTR);
  pack.finalize();
  s.check(s.cudnnBackendExecute(s.handle, state_->plan.get(), pack.get()), "cudnnBackendExecute");
}

#else

struct Cudnn::State {};
struct CudnnConvolution::State {};

namespace {

[[noreturn]] void missing_cudnn() {
  throw Error(ErrorCode::device, fmt::format("this build was made without cudnn.h; build it where cuDNN's headers are: "
                                             "install {}; --kernels own needs no library",
                                             kCudnnFile.packages));
}

}  // namespace

Cudnn::Cudnn() { missing_cudnn(); }
Cudnn::Cudnn(const std::string&) { missing_cudnn(); }
int Cudnn::version() const { return 0; }
CudnnConvolution::CudnnConvolution(Cudnn&, const ConvolutionProblem&, std::size_t) { missing_cudnn(); }
std::size_t CudnnConvolution::workspace() const { return 0; }
void CudnnConvolution::launch(const Arrays&, kernels::Stream) const {}

#endif

Cudnn::~Cudnn() = default;
CudnnConvolution::~CudnnConvolution() = default;

}  // namespace lfm
