// Which of Highway's targets this machine runs. Highway's own answer lives in its shared library, whose static
// initialisers time the clock for 3 ms at every start of a process; its headers, which are all we need otherwise, come
// without it.
#pragma once

#include <cstdint>

namespace lfm {

/// Bits HWY_AVX3, HWY_AVX2, HWY_SSE4 as the processor and the operating system allow, and the target that the
/// compiler's flags allow anyway.
std::int64_t supported_vector_targets();

}  // namespace lfm
