// The kernels for the emulated device, as C++.
#include "bench/ceiling_kernels.cu"
