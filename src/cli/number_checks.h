// Checks of the numbers on the command line. CLI11's own Range takes nan for a number in every range, and reads 010 as
// 8.
#pragma once

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <system_error>
#include <type_traits>

namespace lfm {

/// A decimal number from low to high, no nan and no infinity; for an integer type a whole one.
template <typename Number>
CLI::Validator number_in(Number low, Number high) {
  const auto complaint = [low, high](const std::string& text) -> std::string {
    Number value{};
    const char* end = text.data() + text.size();
    const char* digits = text.data() + (text.starts_with('+') || text.starts_with('-'));
    const auto [parsed, error] = std::from_chars(text.starts_with('+') ? digits : text.data(), end, value);
    bool sensible = error == std::errc() && parsed == end && value >= low && value <= high;
    if constexpr (std::is_floating_point_v<Number>) {
      sensible = sensible && std::isfinite(value);
    } else {
      sensible = sensible && (*digits != '0' || digits + 1 == end);
    }
    if (sensible) return {};
    const char* kind = std::is_floating_point_v<Number> ? "a number" : "a whole number";
    const bool unbounded = low == std::numeric_limits<Number>::lowest() && high == std::numeric_limits<Number>::max();
    if (unbounded) return fmt::format("'{}' is not {}", text, kind);
    if (high == std::numeric_limits<Number>::max()) return fmt::format("'{}' is not {} from {} up", text, kind, low);
    return fmt::format("'{}' is not {} from {} to {}", text, kind, low, high);
  };
  return CLI::Validator([complaint](std::string& text) { return complaint(text); }, "");
}

/// Any number that the type holds.
template <typename Number>
CLI::Validator any_number() {
  return number_in(std::numeric_limits<Number>::lowest(), std::numeric_limits<Number>::max());
}

}  // namespace lfm
