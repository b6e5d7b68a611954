// Prints docs/KERNEL-COUNTERS.md as it should be now; tools/kernel-counters runs it.
#include <fmt/format.h>

#include <cstdio>

#include "tests/kernels/memory/counters_table.h"
#include "tests/kernels/memory/every_kernel.h"

int main() {
  lfm::simt::MemoryChecker checker;
  lfm::test::run_inference_kernels(checker);
  lfm::test::run_training_kernels(checker);
  fmt::print("{}", lfm::test::counters_document(checker));
  for (const auto& finding : checker.findings()) fmt::print(stderr, "{}\n", finding.message);
  return checker.findings().empty() ? 0 : 1;
}
