#include "src/engine/device.h"

#include <fmt/core.h>

#include <charconv>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"

namespace lfm {
namespace {

std::unique_ptr<Engine> automatic_engine(const EngineOptions& options) {
  if (!built_with_cuda()) return make_cpu_engine(options.threads, options.precision);
  try {
    return make_cuda_engine(0, options.precision, options.note);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device) throw;
    if (options.note) options.note(fmt::format("using the CPU: {}", error.what()));
    return make_cpu_engine(options.threads, options.precision);
  }
}

std::unique_ptr<Engine> reference_engine(Precision precision) {
  require_precision(precision, "the reference engine", {Precision::fp32});  // computes in double
  return make_reference_engine();
}

std::unique_ptr<Engine> emulated_engine([[maybe_unused]] const EngineOptions& options) {
#if defined(LFM_HAVE_EMULATION)
  return make_emulated_engine(options.precision, options.note);
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
    int index = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error == std::errc{} && end == number.data() + number.size() && index >= 0) return {DeviceKind::cuda, index};
  }
  throw Error(ErrorCode::usage, fmt::format("there is no device '{}'; the devices are {}", name, kDeviceNames));
}

std::unique_ptr<Engine> make_engine(const Device& device, const EngineOptions& options) {
  switch (device.kind) {
    case DeviceKind::automatic:
      return automatic_engine(options);
    case DeviceKind::cpu:
      return make_cpu_engine(options.threads, options.precision);
    case DeviceKind::cuda:
      return make_cuda_engine(device.index, options.precision, options.note);
    case DeviceKind::reference:
      return reference_engine(options.precision);
    case DeviceKind::emulated:
      return emulated_engine(options);
  }
  throw Error(ErrorCode::usage, "unknown device");
}

}  // namespace lfm
