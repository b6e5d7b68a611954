// What a C2PA manifest (content credentials, in JUMBF boxes) claims of its picture. Read, never verified: neither its
// signatures nor whether it belongs to these pixels.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace lfm {

struct C2paAction {
  std::string action;               ///< "c2pa.created"
  std::string digital_source_type;  ///< "trainedAlgorithmicMedia": the last part of IPTC's address; or ""
  std::string agent;                ///< the software that did it, or ""
};

struct C2paClaim {
  std::string manifest;   ///< its label
  std::string generator;  ///< "Adobe Firefly 1.0", or ""
  std::vector<C2paAction> actions;
};

/// The manifests of a store, oldest first: the last one is of the picture as it is. Empty for other JUMBF boxes. Never
/// throws but for lack of memory: what is malformed or comes after the first hundred is left out.
std::vector<C2paClaim> c2pa_claims(std::span<const std::byte> jumbf);

}  // namespace lfm
