// Inputs and detections as bytes, for another process of the same program: every field, exactly.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lfm/detector.h"

namespace lfm {

/// Appends to `bytes`. An input that has pixels or a file's bytes in memory can't be sent: throws std::logic_error.
void append_bytes(std::vector<std::byte>& bytes, const Input& input);
void append_bytes(std::vector<std::byte>& bytes, const Detection& detection);

/// Reads what was appended, from the front of `bytes`, which it then begins behind. Throws std::runtime_error where
/// they end too early.
Input take_input(std::span<const std::byte>& bytes);
Detection take_detection(std::span<const std::byte>& bytes);

}  // namespace lfm
