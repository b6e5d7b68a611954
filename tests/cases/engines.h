// The engines that this build holds, as parameters for tests and benchmarks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/engine/engine.h"

namespace lfm::cases {

struct EngineCase {
  std::string name;
  std::function<std::unique_ptr<Engine>()> make;
};

inline const std::vector<EngineCase>& engines() {
  static const std::vector<EngineCase> all = {
      {"reference", [] { return make_reference_engine(); }},
#if defined(LFM_HAVE_EMULATION)
      {"emulated", [] { return make_emulated_engine(); }},
#endif
  };
  return all;
}

}  // namespace lfm::cases
