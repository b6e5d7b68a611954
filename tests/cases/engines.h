// The engines that this build holds, as parameters for tests and benchmarks.
#pragma once

#include <fmt/core.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lfm/error.h"
#include "src/engine/cpu/cpu_engine.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/engine.h"

namespace lfm::cases {

struct EngineCase {
  std::string name;
  std::function<std::unique_ptr<Engine>()> make;
};

inline const std::vector<EngineCase>& engines() {
  static const std::vector<EngineCase> all = [] {
    std::vector<EngineCase> list = {
        {"reference", [] { return make_reference_engine(); }},
    };
    if (why_no_emulation().empty()) list.push_back({"emulated", [] { return make_emulated_engine(Precision::fp32); }});
    if (!cuda_devices().devices.empty()) {
      list.push_back({"cuda", [] { return make_cuda_engine(0, Precision::fp32); }});
      for (const Provider provider : {Provider::cudnn, Provider::cublas}) {
        const auto make = [provider] {
          return make_cuda_engine(0, Precision::fp32, {}, Precision::fp32, everywhere(provider));
        };
        try {
          make();
          list.push_back({fmt::format("cuda_with_{}", provider_name(provider)), make});
        } catch (const Error&) {  // the library is missing
        }
      }
    }
    for (const cpu::Kernels* kernels : cpu::supported_kernels()) {
      list.push_back({std::string("cpu_") + kernels->name,
                      [kernels] { return std::make_unique<cpu::CpuEngine>(3, *kernels, kernels->fp32); }});
    }
    return list;
  }();
  return all;
}

/// All but the reference, which is the first.
inline std::vector<EngineCase> engines_beside_reference() { return {engines().begin() + 1, engines().end()}; }

}  // namespace lfm::cases
