// The memory checker's counters as docs/KERNEL-COUNTERS.md holds them.
#pragma once

#include <fmt/format.h>

#include <string>

#include "kernels/simt/check/memory_checker.h"

namespace lfm::test {

inline std::string counters_document(const simt::MemoryChecker& checker) {
  using simt::Access, simt::Requests, simt::Space;
  const auto global = [](const Requests& r) {
    return r.count ? fmt::format("{:.2f} | {:.2f}", r.taken_each(),
                                 static_cast<double>(r.least) / static_cast<double>(r.count))
                   : "- | -";
  };
  const auto shared = [](const Requests& r) {
    return r.count ? fmt::format("{} of {}", r.beyond_least(), r.taken) : std::string("-");
  };
  std::string document =
      "# What the kernels ask of memory\n\n"
      "Written by `tools/kernel-counters --update`: counted on the emulated device, at small shapes with "
      "tails\n"
      "(`tests/kernels/memory/`), by the memory checker (`kernels/simt/check/memory_checker.h` says how); "
      "not measured on a GPU, and before\n"
      "any cache. What each kernel promises stands in `tests/kernels/memory/promises.h`.\n\n"
      "*Sectors*: 32-byte sectors of global memory a warp's request touches, beside the least that the same "
      "bytes could lie in. A full warp's\n"
      "request of 4 bytes a lane is 4 sectors, of 16 bytes 16. *Conflicts*: wavefronts of shared memory "
      "beyond what the width of the requests\n"
      "needs, of all wavefronts.\n\n"
      "| kernel | sectors a load | at least | sectors a store | at least | conflicts of shared loads | of "
      "shared stores |\n"
      "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const auto& [kernel, counted] : checker.counters()) {
    document += fmt::format("| {} | {} | {} | {} | {} |\n", kernel, global(counted(Space::global, Access::load)),
                            global(counted(Space::global, Access::store)), shared(counted(Space::shared, Access::load)),
                            shared(counted(Space::shared, Access::store)));
  }
  return document;
}

}  // namespace lfm::test
