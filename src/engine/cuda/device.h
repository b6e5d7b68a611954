// What the engine asks of a device: memory, pinned host memory, asynchronous copies, streams and events. Implemented on
// the CUDA runtime (device_cuda.cpp) and on the emulated device (device_emulated.cpp). Failures are lfm::Error{device},
// those of allocations lfm::OutOfMemory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kernels/target.h"

namespace lfm::device::inline LFM_TARGET {

/// A named stretch of the host's time, shown by Nsight Systems (NVTX domain "lfm"); nothing elsewhere. Its payload: the
/// images of the batch, and which layer it is, from 0; -1 where it is none.
class Range {
 public:
  explicit Range(const char* name, int batch, int layer = -1);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

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
  /// Waits on the host for everything that anybody has given this device.
  void synchronize() const;
  /// Whether kernels of this device read it where it lies: device or managed memory, whoever allocated it.
  bool holds(const void* pointer) const;
  const std::string& name() const { return name_; }
  std::size_t cache_bytes() const { return cache_bytes_; }  ///< of L2
  int capability() const { return capability_; }            ///< 10 * major + minor
  int multiprocessors() const { return multiprocessors_; }

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
  std::string name_;
  std::size_t cache_bytes_ = 0;
  int capability_ = 0;
  int multiprocessors_ = 0;
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

/// Work of one stream, recorded once and launched as a whole: a CUDA graph.
class Graph {
 public:
  Graph();
  /// Records what `work` gives the stream, which does not run. What the work points to must outlive the graph.
  Graph(Stream& stream, const std::function<void()>& work);
  Graph(Graph&& other) noexcept;
  Graph& operator=(Graph&& other) noexcept;
  ~Graph();
  explicit operator bool() const { return state_ != nullptr; }
  void launch(Stream& stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
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

/// A point in a stream whose time is kept. CUDA: by the device; emulated: by the host, when the stream comes by.
class Timestamp {
 public:
  explicit Timestamp(const Context& context);
  Timestamp(Timestamp&& other) noexcept;
  ~Timestamp();
  void record(Stream& stream);
  /// Waits for both. Each must have been recorded.
  double milliseconds_since(const Timestamp& earlier) const;
  static const char* clock();  ///< for people

 private:
  struct State;
  const Context* context_;
  std::unique_ptr<State> state_;
};

}  // namespace lfm::device::inline LFM_TARGET
