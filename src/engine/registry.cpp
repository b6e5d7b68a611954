#include "src/engine/registry.h"

#include <algorithm>

#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/precision.h"

namespace lfm {
namespace {

std::vector<Precision> fp32_alone() { return {Precision::fp32}; }
std::vector<Precision> tensor_precisions() {
  return {Precision::fp16, Precision::fp32, Precision::tf32, Precision::bf16};
}

std::string nothing() { return ""; }

std::unique_ptr<Engine> reference(const EngineOptions& options) {
  require_precision(options.precision, "the reference engine", fp32_alone());
  return make_reference_engine();
}

}  // namespace

std::span<const EngineRow> engine_rows() {
  static const std::vector<EngineRow> rows = {
      {DeviceKind::cpu,
       "cpu",
       "the CPU engine",
       false,
       false,
       cpu_precisions,
       {Precision::fp32},
       nothing,
       [](int, const EngineOptions& o) { return make_cpu_engine(o.threads, o.precision); }},
      {DeviceKind::cuda,
       "cuda",
       "the CUDA engine",
       true,
       true,
       tensor_precisions,
       {Precision::fp32, Precision::tf32, Precision::bf16},
       [] { return cuda_devices().reason; },
       [](int index, const EngineOptions& o) {
         return make_cuda_engine(index, o.precision, o.note, o.training, o.kernels);
       }},
      {DeviceKind::reference,
       "reference",
       "the reference engine",
       false,
       false,
       fp32_alone,
       {Precision::fp32},
       nothing,
       [](int, const EngineOptions& o) { return reference(o); }},
      {DeviceKind::emulated,
       "emulated",
       "the emulated device",
       false,
       true,
       tensor_precisions,
       {Precision::fp32, Precision::tf32, Precision::bf16},
       why_no_emulation,
       [](int, const EngineOptions& o) { return make_emulated_engine(o.precision, o.note, o.training, o.kernels); }},
  };
  return rows;
}

const EngineRow& engine_row(DeviceKind kind) { return *std::ranges::find(engine_rows(), kind, &EngineRow::kind); }

}  // namespace lfm
