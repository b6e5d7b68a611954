// The device of the CUDA runtime.
#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <utility>

#include "lfm/error.h"
#include "src/engine/cuda/device.h"
#include "src/engine/out_of_memory.h"

namespace lfm::device::inline LFM_TARGET {

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw Error(ErrorCode::device, fmt::format("{} failed: {}", what, cudaGetErrorString(error)));
}

void check_allocation(cudaError_t error, const char* what, std::size_t bytes) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an allocation that fails leaves the device usable: forget it
  const std::string message = fmt::format("{} of {} bytes failed: {}; a smaller batch or smaller images need less",
                                          what, bytes, cudaGetErrorString(error));
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw Error(ErrorCode::device, message);
}

cudaStream_t stream_of(kernels::Stream handle) { return reinterpret_cast<cudaStream_t>(handle); }

}  // namespace

struct Context::State {
  int ordinal;
};

Context::Context(int ordinal) : state_(new State{ordinal}) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "reading the device's properties");
  name_ = properties.name;
  cache_bytes_ = static_cast<std::size_t>(properties.l2CacheSize);
  capability_ = 10 * properties.major + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
  make_current();
}
Context::~Context() = default;
void Context::make_current() const { check(cudaSetDevice(state_->ordinal), "selecting the device"); }
void Context::synchronize() const {
  make_current();
  check(cudaDeviceSynchronize(), "running kernels");
}
bool Context::holds(const void* pointer) const {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, pointer), "asking where pixels lie");
  return attributes.type == cudaMemoryTypeManaged ||
         (attributes.type == cudaMemoryTypeDevice && attributes.device == state_->ordinal);
}

Memory::Memory(const Context& context, std::size_t bytes) : bytes_(bytes) {
  context.make_current();
  check_allocation(cudaMalloc(reinterpret_cast<void**>(&data_), bytes), "allocating device memory", bytes);
}
Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
Memory::~Memory() { cudaFree(data_); }

PinnedMemory::PinnedMemory(const Context& context, std::size_t bytes) : bytes_(bytes) {
  context.make_current();
  check_allocation(cudaMallocHost(reinterpret_cast<void**>(&data_), bytes), "allocating pinned host memory", bytes);
}
PinnedMemory::PinnedMemory(PinnedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
PinnedMemory::~PinnedMemory() {
  if (data_) cudaFreeHost(data_);
}

Stream::Stream(const Context& context) : context_(context) {
  context.make_current();
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  handle_ = reinterpret_cast<kernels::Stream>(stream);
}
Stream::~Stream() { cudaStreamDestroy(stream_of(handle_)); }

void Stream::copy_to_device(void* device, const void* pinned, std::size_t bytes) {
  check(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, stream_of(handle_)), "copying to the device");
}
void Stream::copy_to_host(void* pinned, const void* device, std::size_t bytes) {
  check(cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, stream_of(handle_)), "copying from the device");
}
void Stream::zero(void* device, std::size_t bytes) {
  check(cudaMemsetAsync(device, 0, bytes, stream_of(handle_)), "zeroing device memory");
}
void Stream::synchronize() {
  context_.make_current();
  check(cudaStreamSynchronize(stream_of(handle_)), "running kernels");
}

struct Graph::State {
  cudaGraphExec_t graph = nullptr;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (graph) cudaGraphExecDestroy(graph);
  }
};

Graph::Graph(Stream& stream, const std::function<void()>& work) : state_(std::make_unique<State>()) {
  const cudaStream_t recording = stream_of(stream.handle());
  check(cudaStreamBeginCapture(recording, cudaStreamCaptureModeThreadLocal), "recording a graph");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(recording, &graph);  // the stream must go on
    if (graph) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(recording, &graph), "recording a graph");
  const cudaError_t error = cudaGraphInstantiateWithFlags(&state_->graph, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "instantiating a graph");
}
Graph::Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;
void Graph::launch(Stream& stream) {
  check(cudaGraphLaunch(state_->graph, stream_of(stream.handle())), "launching a graph");
}

struct Event::State {
  cudaEvent_t event = nullptr;
};

Event::Event(const Context& context) : context_(context), state_(std::make_unique<State>()) {
  context.make_current();
  check(cudaEventCreateWithFlags(&state_->event, cudaEventDisableTiming), "creating an event");
}
Event::~Event() { cudaEventDestroy(state_->event); }
void Event::record(Stream& stream) {
  check(cudaEventRecord(state_->event, stream_of(stream.handle())), "recording an event");
}
void Event::make_wait(Stream& stream) {
  check(cudaStreamWaitEvent(stream_of(stream.handle()), state_->event, 0), "waiting for an event");
}
void Event::synchronize() {
  context_.make_current();
  check(cudaEventSynchronize(state_->event), "running kernels");
}

struct Timestamp::State {
  cudaEvent_t event = nullptr;
  ~State() {
    if (event) cudaEventDestroy(event);
  }
};

Timestamp::Timestamp(const Context& context) : context_(&context), state_(std::make_unique<State>()) {
  context.make_current();
  check(cudaEventCreate(&state_->event), "creating an event");
}
Timestamp::Timestamp(Timestamp&&) noexcept = default;
Timestamp::~Timestamp() = default;
void Timestamp::record(Stream& stream) {
  check(cudaEventRecord(state_->event, stream_of(stream.handle())), "recording an event");
}
double Timestamp::milliseconds_since(const Timestamp& earlier) const {
  context_->make_current();
  check(cudaEventSynchronize(earlier.state_->event), "running kernels");
  check(cudaEventSynchronize(state_->event), "running kernels");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, earlier.state_->event, state_->event), "reading the time of an event");
  return milliseconds;
}
const char* Timestamp::clock() { return "device events"; }

}  // namespace lfm::device::inline LFM_TARGET
