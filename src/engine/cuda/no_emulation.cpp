// A build without the emulated device: stands in for the CUDA engine's emulated twin.
#include "lfm/error.h"
#include "src/engine/engine.h"

namespace lfm {

std::string why_no_emulation() { return "this build has no emulated device; build with -DLFM_EMULATION=ON"; }

// NOLINTNEXTLINE(performance-unnecessary-value-param): one signature with the build that has an engine
std::unique_ptr<Engine> make_emulated_engine(Precision, std::function<void(const std::string&)>, Precision,
                                             const Providers&) {
  throw Error(ErrorCode::device, why_no_emulation());
}

}  // namespace lfm
