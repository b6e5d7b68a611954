#include "src/engine/precision.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "lfm/error.h"
#include "lfm/words.h"

namespace lfm {
std::string_view precision_name(Precision precision) { return word_of(precision); }

Precision parse_precision(std::string_view name) {
  if (const auto precision = value_of<Precision>(name)) return *precision;
  throw Error(ErrorCode::usage,
              fmt::format("there is no precision '{}'; the precisions are {}", name, list_of_words<Precision>()));
}

void require_precision(Precision precision, std::string_view engine, const std::vector<Precision>& supported) {
  if (precision == Precision::automatic || std::find(supported.begin(), supported.end(), precision) != supported.end())
    return;
  std::string choices(precision_name(Precision::automatic));
  for (const Precision other : supported) choices += fmt::format(", {}", precision_name(other));
  throw Error(ErrorCode::usage,
              fmt::format("{} does not support {}: its precisions are {}", engine, precision_name(precision), choices));
}

}  // namespace lfm
