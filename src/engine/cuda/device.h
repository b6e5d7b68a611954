// What the engine asks of a device: memory, pinned host memory, asynchronous copies, streams and events. Implemented on the CUDA
// runtime (device_cuda.cpp) and on the emulated device (device_emulated.cpp). Failures are lfm::Error{device}.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/target.h"

namespace lfm::device::inline LFM_TARGET {

/// One device. Everything below belongs to a context and must not outlive it.
class Context {
 public:
  /// CUDA: the device's number. Emulated: the seed of the order in which streams take turns.
  explicit Context(int ordinal);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Makes this the device of the calling thread, as every call below needs it. Cheap.
  void make_current() const;
  const std::string& name() const { return name_; }

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
  std::string name_;
};

/// Device memory, 256-byte aligned, uninitialised. Freed without waiting: synchronise first.
class Memory {
 public:
  Memory() = default;
  Memory(const Context& context, std::size_t bytes);
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  ~Memory();
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Host memory that the device copies from and to without the host waiting.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(const Context& context, std::size_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept;
  PinnedMemory& operator=(PinnedMemory&& other) noexcept;
  ~PinnedMemory();
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// An in-order queue of work.
class Stream {
 public:
  explicit Stream(const Context& context);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  kernels::Stream handle() const { return handle_; }

  /// The host side must be pinned, and neither touched nor freed before the stream has come by.
  void copy_to_device(void* device, const void* pinned, std::size_t bytes);
  void copy_to_host(void* pinned, const void* device, std::size_t bytes);
  void zero(void* device, std::size_t bytes);
  /// Waits on the host for everything enqueued so far; reports what went wrong in it.
  void synchronize();

 private:
  const Context& context_;
  kernels::Stream handle_ = nullptr;
};

/// A point in a stream that other streams and the host can wait for. Complete until first recorded.
class Event {
 public:
  explicit Event(const Context& context);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(Stream& stream);
  void make_wait(Stream& stream);  ///< later work of the stream runs after the event
  void synchronize();

 private:
  struct State;
  const Context& context_;
  std::unique_ptr<State> state_;
};

}  // namespace lfm::device::inline LFM_TARGET
