// What a comparison found, for CHECK: a failed one is shown with all that the comparison says.
#pragma once

#include <ostream>
#include <string>

namespace lfm::cases {

struct Verdict {
  bool kept = false;
  std::string text;

  explicit operator bool() const { return kept; }
};

inline std::ostream& operator<<(std::ostream& out, const Verdict& verdict) { return out << verdict.text; }

}  // namespace lfm::cases
