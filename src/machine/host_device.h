// LFM_HOST_DEVICE marks functions that CUDA kernels and the host both call.
#pragma once

#if defined(__CUDACC__)
#define LFM_HOST_DEVICE __host__ __device__
#else
#define LFM_HOST_DEVICE
#endif
