// Precisions by the names that users give them.
#pragma once

#include <string_view>
#include <vector>

#include "lfm/precision.h"

namespace lfm {

/// The names parse_precision knows, for help texts.
inline constexpr const char* kPrecisionNames = "auto, fp32, tf32, fp16 or bf16";

std::string_view precision_name(Precision precision);

/// Throws Error{usage} for any other name.
Precision parse_precision(std::string_view name);

/// Throws Error{usage} naming what there is, unless the precision is `automatic` or among those supported. engine: "the
/// CPU engine".
void require_precision(Precision precision, std::string_view engine, const std::vector<Precision>& supported);

}  // namespace lfm
