#include "src/engine/precision.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "lfm/error.h"

namespace lfm {
namespace {

constexpr Precision kPrecisions[] = {Precision::automatic, Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16};

}  // namespace

std::string_view precision_name(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return "auto";
    case Precision::fp32:
      return "fp32";
    case Precision::tf32:
      return "tf32";
    case Precision::fp16:
      return "fp16";
    case Precision::bf16:
      return "bf16";
  }
  return "?";
}

Precision parse_precision(std::string_view name) {
  for (const Precision precision : kPrecisions) {
    if (name == precision_name(precision)) return precision;
  }
  throw Error(ErrorCode::usage, fmt::format("there is no precision '{}'; the precisions are {}", name, kPrecisionNames));
}

void require_precision(Precision precision, std::string_view engine, std::initializer_list<Precision> supported) {
  if (precision == Precision::automatic || std::find(supported.begin(), supported.end(), precision) != supported.end()) return;
  std::string choices(precision_name(Precision::automatic));
  for (const Precision other : supported) choices += fmt::format(", {}", precision_name(other));
  throw Error(ErrorCode::usage, fmt::format("{} does not support {}: its precisions are {}", engine, precision_name(precision), choices));
}

}  // namespace lfm
