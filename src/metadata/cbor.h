// CBOR (RFC 8949), of which C2PA's claims and assertions are made.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>

namespace lfm {

/// One value as JSON, what follows it unread: byte strings become null, tags are dropped, keys that are no text are
/// left out. Nothing where it is malformed or truncated, nests deeper than 32, or has more than 100 000 parts.
std::optional<nlohmann::json> read_cbor(std::span<const std::byte> bytes);

}  // namespace lfm
