// Runs the program with one fault injected into it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lfm::test {

/// Which calls fail, and how (fault.h).
struct Fault {
  std::string call;
  std::string how;
  bool lasts = false;     ///< all later ones too
  bool harmless = false;  ///< the program can and must do without noticing
  std::string name() const { return call + "_" + how + (lasts ? "_lasting" : ""); }
};

struct FaultOutcome {
  int code = -1;             ///< exit code
  int signal = 0;            ///< what killed it, if anything
  bool hung = false;         ///< it was killed after a long time
  std::string text;          ///< what it printed
  std::uint64_t calls = 0;   ///< of the fault's kind
  std::uint64_t failed = 0;  ///< how many of them failed
};

/// at: the call that fails, from 1; 0: none. folder is for files of this function's own.
FaultOutcome run_with_fault(const std::vector<std::string>& command, const Fault& fault, std::uint64_t at,
                            const std::filesystem::path& folder);

}  // namespace lfm::test
