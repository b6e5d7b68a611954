#include "src/engine/device.h"

#include <fmt/core.h>

#include <charconv>

#include "lfm/error.h"

namespace lfm {
namespace {

#if defined(LFM_HAVE_CUDA)
std::unique_ptr<Engine> cuda_engine(int index) { return make_cuda_engine(index); }

std::unique_ptr<Engine> automatic_engine(int threads, const std::function<void(const std::string&)>& note) {
  try {
    return cuda_engine(0);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device) throw;
    if (note) note(fmt::format("using the CPU: {}", error.what()));
    return make_cpu_engine(threads);
  }
}
#else
std::unique_ptr<Engine> cuda_engine(int) {
  throw Error(ErrorCode::device,
              "this build has no CUDA engine; use --device cpu, or build with the CUDA toolkit installed (-DLFM_CUDA=ON)");
}

std::unique_ptr<Engine> automatic_engine(int threads, const std::function<void(const std::string&)>&) {
  return make_cpu_engine(threads);
}
#endif

std::unique_ptr<Engine> emulated_engine() {
#if defined(LFM_HAVE_EMULATION)
  return make_emulated_engine();
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

std::unique_ptr<Engine> make_engine(const Device& device, int threads,
                                    const std::function<void(const std::string&)>& note) {
  switch (device.kind) {
    case DeviceKind::automatic:
      return automatic_engine(threads, note);
    case DeviceKind::cpu:
      return make_cpu_engine(threads);
    case DeviceKind::cuda:
      return cuda_engine(device.index);
    case DeviceKind::reference:
      return make_reference_engine();
    case DeviceKind::emulated:
      return emulated_engine();
  }
  throw Error(ErrorCode::usage, "unknown device");
}

}  // namespace lfm
