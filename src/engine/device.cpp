#include "src/engine/device.h"

#include <fmt/core.h>

#include <charconv>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"

namespace lfm {
namespace {

void require_fp32_training(const EngineOptions& options, const char* engine) {
  if (options.training == Precision::fp32) return;
  throw Error(ErrorCode::usage, fmt::format("{} trains in fp32 alone; leave out --precision {}, or train on a GPU with --device cuda", engine,
                                            precision_name(options.training)));
}

std::unique_ptr<Engine> cpu_engine(const EngineOptions& options) {
  require_fp32_training(options, "the CPU engine");
  return make_cpu_engine(options.threads, options.precision);
}

std::unique_ptr<Engine> automatic_engine(const EngineOptions& options) {
  if (!built_with_cuda()) return cpu_engine(options);
  try {
    return make_cuda_engine(0, options.precision, options.note, options.training);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device) throw;
    if (options.note) options.note(fmt::format("using the CPU: {}", error.what()));
    return cpu_engine(options);
  }
}

std::unique_ptr<Engine> reference_engine(const EngineOptions& options) {
  require_precision(options.precision, "the reference engine", {Precision::fp32});  // computes in double
  require_fp32_training(options, "the reference engine");
  return make_reference_engine();
}

std::unique_ptr<Engine> emulated_engine([[maybe_unused]] const EngineOptions& options) {
#if defined(LFM_HAVE_EMULATION)
  return make_emulated_engine(options.precision, options.note, options.training);
#else
  throw Error(ErrorCode::device, "this build has no emulated device; build with -DLFM_EMULATION=ON");
#endif
}

}  // namespace

Device parse_device(std::string_view name) {
  if (name == "auto") return {DeviceKind::automatic};
  if (name == "cpu") return {DeviceKind::cpu};
  if (name == "cuda") return {DeviceKind::cuda};
  if (name == "reference") return {DeviceKind::reference};
  if (name == "emulated") return {DeviceKind::emulated};
  constexpr std::string_view prefix = "cuda:";
  if (name.substr(0, prefix.size()) == prefix) {
    const std::string_view number = name.substr(prefix.size());
    if (number == "all") return {DeviceKind::cuda, 0, true};
    int index = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error == std::errc{} && end == number.data() + number.size() && index >= 0) return {DeviceKind::cuda, index};
  }
  throw Error(ErrorCode::usage, fmt::format("there is no device '{}'; the devices are {}; detect and evaluate also take cuda:all", name, kDeviceNames));
}

std::vector<std::unique_ptr<Engine>> make_engines(const Device& device, const EngineOptions& options) {
  std::vector<std::unique_ptr<Engine>> engines;
  if (device.all) {
    for (const CudaDevice& gpu : cuda_devices().devices) engines.push_back(make_cuda_engine(gpu.ordinal, options.precision, options.note));
  }
  if (engines.empty()) engines.push_back(make_engine({device.kind, device.index}, options));  // without GPUs, says why
  return engines;
}

std::unique_ptr<Engine> make_engine(const Device& device, const EngineOptions& options) {
  if (device.all) throw Error(ErrorCode::usage, "only detect and evaluate work on several GPUs at once; name one, such as cuda:0");
  switch (device.kind) {
    case DeviceKind::automatic:
      return automatic_engine(options);
    case DeviceKind::cpu:
      return cpu_engine(options);
    case DeviceKind::cuda:
      return make_cuda_engine(device.index, options.precision, options.note, options.training);
    case DeviceKind::reference:
      return reference_engine(options);
    case DeviceKind::emulated:
      return emulated_engine(options);
  }
  throw Error(ErrorCode::usage, "unknown device");
}

}  // namespace lfm
