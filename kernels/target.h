// Every file under kernels/ and src/engine/cuda/ is compiled once for each of two targets, into a namespace of its own,
// so that both link into one program:
//   LFM_TARGET=cuda      by nvcc, for NVIDIA GPUs
//   LFM_TARGET=emulated  by the host compiler, against kernels/simt
// The build sets LFM_TARGET (and LFM_TARGET_EMULATED=1 for the second). Inside such a file,
//   namespace lfm::kernels::inline LFM_TARGET { ... }
// holds everything.
#pragma once

#if !defined(LFM_TARGET)
#error "compile this file with -DLFM_TARGET=cuda or -DLFM_TARGET=emulated (see kernels/target.h)"
#endif

namespace lfm::kernels {

/// A queue of work on a device: a cudaStream_t, or a simt::Queue*. Null: the default stream; emulated, run at once.
struct OpaqueStream;
using Stream = OpaqueStream*;

}  // namespace lfm::kernels
