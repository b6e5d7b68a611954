// Every kernel of kernels/, run once or more at a small shape under the memory checker.
#pragma once

#include "kernels/simt/check/memory_checker.h"

namespace lfm::test {

void run_inference_kernels(simt::MemoryChecker& checker);
void run_training_kernels(simt::MemoryChecker& checker);

}  // namespace lfm::test
