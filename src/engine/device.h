// Choosing an engine by the name a user gives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/engine.h"

namespace lfm {

enum class DeviceKind {
  automatic,  ///< CUDA where it is built in and a GPU is present, else the CPU
  cpu,
  cuda,
  reference,  ///< the slow engine in double precision that tests trust
  emulated,   ///< the CUDA engine's kernels on the host
};

struct Device {
  DeviceKind kind = DeviceKind::automatic;
  int index = 0;     ///< of the GPU
  bool all = false;  ///< every GPU: make_engines() alone takes it
};

/// The names of devices, "|" between them, from the table of engines; Devices::all: with cuda:all, every GPU. N stands
/// for a number.
enum class Devices { one, all };
const char* device_words(Devices devices);

/// The same for sentences: "auto, cpu, cuda, cuda:N, ...".
std::string device_names();

/// Throws Error{usage} for any other name, but for "cuda:all".
Device parse_device(std::string_view name);

struct EngineOptions {
  int threads = 0;  ///< of the CPU engine; 0: all cores this process may use
  Precision precision = Precision::automatic;
  /// Receives one sentence when `automatic` finds CUDA built in but no usable GPU, or a batch had to be halved for want
  /// of memory.
  std::function<void(const std::string&)> note;
  Precision training =
      Precision::fp32;  ///< of training's convolutions: fp32, tf32 or bf16; note is told where a GPU falls back to fp32
  Providers kernels = {};  ///< of a GPU's inference: whose kernels compute which stage
};

/// Throws Error{device} where the asked engine is not in this build or its device is missing, Error{usage} where the
/// engine lacks the precision.
std::unique_ptr<Engine> make_engine(const Device& device, const EngineOptions& options = {});

/// The same, one for each GPU where all are asked for. They may be used at the same time, each by one thread.
std::vector<std::unique_ptr<Engine>> make_engines(const Device& device, const EngineOptions& options = {});

}  // namespace lfm
