#include "src/engine/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"
#include "src/engine/registry.h"

namespace lfm {
namespace {

void require_training(const EngineRow& row, const EngineOptions& options) {
  if (std::ranges::find(row.training, options.training) != row.training.end()) return;
  std::vector<std::string_view> names;
  for (const Precision precision : row.training) names.push_back(precision_name(precision));
  throw Error(ErrorCode::usage,
              fmt::format("{} trains in {} alone; leave out --precision {}, or train on a GPU with --device cuda",
                          row.who, fmt::join(names, ", "), precision_name(options.training)));
}

void require_kernels(const EngineRow& row, const EngineOptions& options) {
  if (row.takes_libraries || options.kernels.all_own()) return;
  throw Error(ErrorCode::usage, fmt::format("{} computes every stage itself: cuDNN and cuBLAS are a GPU's; leave out "
                                            "--kernels, or choose --device cuda",
                                            row.who));
}

std::unique_ptr<Engine> make(DeviceKind kind, int index, const EngineOptions& options) {
  const EngineRow& row = engine_row(kind);
  require_training(row, options);
  require_kernels(row, options);
  return row.make(index, options);
}

std::unique_ptr<Engine> make_automatic(const EngineOptions& options) {
  if (!built_with_cuda()) return make(DeviceKind::cpu, 0, options);
  try {
    return make(DeviceKind::cuda, 0, options);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::device || !options.kernels.all_own()) throw;
    if (options.note) options.note(fmt::format("using the CPU: {}", error.what()));
    return make(DeviceKind::cpu, 0, options);
  }
}

}  // namespace

const char* device_words(Devices devices) {
  const auto words = [](bool all) {
    std::string text = "auto";
    for (const EngineRow& row : engine_rows()) {
      text += fmt::format("|{}", row.name);
      if (row.numbered) text += fmt::format("|{}:N", row.name);
      if (row.numbered && all) text += fmt::format("|{}:all", row.name);
    }
    return text;
  };
  static const std::string one = words(false), every = words(true);
  return devices == Devices::all ? every.c_str() : one.c_str();
}

std::string device_names() {
  std::vector<std::string> names = {"auto"};
  for (const EngineRow& row : engine_rows()) {
    names.emplace_back(row.name);
    if (row.numbered) names.push_back(fmt::format("{}:N", row.name));
  }
  const std::string last = names.back();
  names.pop_back();
  return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

Device parse_device(std::string_view name) {
  if (name == "auto") return {DeviceKind::automatic};
  for (const EngineRow& row : engine_rows()) {
    if (name == row.name) return {row.kind};
    if (!row.numbered || !name.starts_with(row.name) || name.substr(row.name.size(), 1) != ":") continue;
    const std::string_view number = name.substr(row.name.size() + 1);
    if (number == "all") return {row.kind, 0, true};
    int index = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error == std::errc{} && end == number.data() + number.size() && index >= 0) return {row.kind, index};
  }
  throw Error(ErrorCode::usage,
              fmt::format("there is no device '{}'; the devices are {}; detect and evaluate also take cuda:all", name,
                          device_names()));
}

std::vector<std::unique_ptr<Engine>> make_engines(const Device& device, const EngineOptions& options) {
  std::vector<std::unique_ptr<Engine>> engines;
  if (device.all) {
    for (const CudaDevice& gpu : cuda_devices().devices)
      engines.push_back(
          make_cuda_engine(gpu.ordinal, options.precision, options.note, Precision::fp32, options.kernels));
  }
  if (engines.empty()) engines.push_back(make_engine({device.kind, device.index}, options));  // without GPUs, says why
  return engines;
}

std::unique_ptr<Engine> make_engine(const Device& device, const EngineOptions& options) {
  if (device.all)
    throw Error(ErrorCode::usage, "only detect and evaluate work on several GPUs at once; name one, such as cuda:0");
  return device.kind == DeviceKind::automatic ? make_automatic(options) : make(device.kind, device.index, options);
}

}  // namespace lfm
