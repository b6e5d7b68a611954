// The build for fuzzing has no engines: what reaches them are pixels and checked parameters.
#include "lfm/error.h"
#include "src/engine/engine.h"

namespace lfm {

std::unique_ptr<Engine> make_reference_engine() { throw Error(ErrorCode::device, "this build has no engine"); }

std::unique_ptr<Engine> make_cpu_engine(int, Precision) { return make_reference_engine(); }

std::vector<Precision> cpu_precisions() { return {}; }

}  // namespace lfm
