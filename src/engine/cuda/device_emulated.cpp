// The device of kernels/simt: host memory, deferred streams.
#include <fmt/core.h>

#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/simt/memory_limit.h"
#include "kernels/simt/queue.h"
#include "src/engine/cuda/device.h"
#include "src/engine/out_of_memory.h"

namespace lfm::device::inline LFM_TARGET {

namespace {

constexpr std::align_val_t kAlignment{256};
constexpr int kCapability = 90;      // the newest whose instructions kernels/simt has
constexpr int kMultiprocessors = 4;  // as many as small tests fill

// Filled with NaN, so that reading what was never written shows.
std::byte* allocate(std::size_t bytes) {
  auto* data = static_cast<std::byte*>(::operator new(bytes, kAlignment));
  std::memset(data, 0xff, bytes);
  return data;
}

void release(std::byte* data) { ::operator delete(data, kAlignment); }

simt::Queue& queue(kernels::Stream handle) { return *reinterpret_cast<simt::Queue*>(handle); }

}  // namespace

struct Context::State {
  simt::Context queues;
};

Context::Context(int ordinal)
    : state_(new State{simt::Context(static_cast<std::uint64_t>(ordinal))}),
      name_("emulated"),
      capability_(kCapability),
      multiprocessors_(kMultiprocessors) {}
Context::~Context() = default;
void Context::make_current() const {}
// Others write to emulated memory as to any: what they have written is there.
void Context::synchronize() const {}
bool Context::holds(const void*) const { return true; }

Memory::Memory(const Context&, std::size_t bytes) : bytes_(bytes) {
  if (bytes > simt::memory_limit) {
    throw OutOfMemory(
        fmt::format("allocating device memory of {} bytes failed: the device has {}", bytes, simt::memory_limit));
  }
  data_ = allocate(bytes);
}
Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
Memory::~Memory() { release(data_); }

PinnedMemory::PinnedMemory(const Context&, std::size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
PinnedMemory::PinnedMemory(PinnedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
PinnedMemory::~PinnedMemory() { release(data_); }

Stream::Stream(const Context& context)
    : context_(context), handle_(reinterpret_cast<kernels::Stream>(&context.state().queues.create_queue())) {}
Stream::~Stream() { context_.state().queues.destroy_queue(queue(handle_)); }

void Stream::copy_to_device(void* device, const void* pinned, std::size_t bytes) {
  queue(handle_).enqueue([=] { std::memcpy(device, pinned, bytes); });
}
void Stream::copy_to_host(void* pinned, const void* device, std::size_t bytes) {
  queue(handle_).enqueue([=] { std::memcpy(pinned, device, bytes); });
}
void Stream::zero(void* device, std::size_t bytes) {
  queue(handle_).enqueue([=] { std::memset(device, 0, bytes); });
}
void Stream::synchronize() { queue(handle_).synchronize(); }

Range::Range(const char*, int, int) {}
Range::~Range() = default;

struct Graph::State {
  std::function<void()> work;
};

Graph::Graph(Stream&, const std::function<void()>& work) : state_(std::make_unique<State>(State{work})) {}
Graph::Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;
void Graph::launch(Stream&) { state_->work(); }

struct Event::State {
  simt::Event event;
};

Event::Event(const Context& context) : context_(context), state_(std::make_unique<State>()) {}
Event::~Event() = default;
void Event::record(Stream& stream) { queue(stream.handle()).record(state_->event); }
void Event::make_wait(Stream& stream) { queue(stream.handle()).wait(state_->event); }
void Event::synchronize() { context_.state().queues.synchronize(state_->event); }

struct Timestamp::State {
  simt::Event event;
  std::chrono::steady_clock::time_point time;
};

Timestamp::Timestamp(const Context& context) : context_(&context), state_(std::make_unique<State>()) {}
Timestamp::Timestamp(Timestamp&&) noexcept = default;
Timestamp::~Timestamp() = default;
void Timestamp::record(Stream& stream) {
  queue(stream.handle()).enqueue([state = state_.get()] { state->time = std::chrono::steady_clock::now(); });
  queue(stream.handle()).record(state_->event);
}
double Timestamp::milliseconds_since(const Timestamp& earlier) const {
  for (const Timestamp* stamp : {&earlier, this}) context_->state().queues.synchronize(stamp->state_->event);
  return std::chrono::duration<double, std::milli>(state_->time - earlier.state_->time).count();
}
const char* Timestamp::clock() { return "host"; }

}  // namespace lfm::device::inline LFM_TARGET
