#include "src/metadata/c2pa.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "src/image/boxes.h"
#include "src/metadata/cbor.h"

namespace lfm {
namespace {

using Bytes = std::span<const std::byte>;
using nlohmann::json;

/// The label that a superbox's description gives it.
std::string label_of(Bytes superbox) {
  constexpr std::size_t name = 17;  // behind the type's 16 bytes and the switches
  const Bytes description = box_body(superbox, "jumd");
  if (description.size() <= name || (big_endian_at(description, 16, 1) & 2) == 0) return {};
  const std::string_view text(reinterpret_cast<const char*>(description.data()) + name, description.size() - name);
  return std::string(text.substr(0, text.find('\0')));
}

std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// "name version" of an object that describes software, of the first of a list of them, or the text itself.
std::string software_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) return value.empty() ? std::string() : software_of(value[0].is_array() ? json() : value[0]);
  const std::string name = text_at(value, "name"), version = text_at(value, "version");
  return version.empty() ? name : name + " " + version;
}

void read_claim(const json& claim, C2paClaim& into) {
  if (!claim.is_object()) return;
  if (const auto found = claim.find("claim_generator_info"); found != claim.end()) into.generator = software_of(*found);
  if (into.generator.empty()) into.generator = text_at(claim, "claim_generator");
}

void read_actions(const json& assertion, C2paClaim& into) {
  constexpr std::size_t most = 100;
  if (!assertion.is_object() || !assertion.contains("actions") || !assertion["actions"].is_array()) return;
  for (const json& action : assertion["actions"]) {
    if (!action.is_object() || into.actions.size() == most) continue;
    C2paAction& one = into.actions.emplace_back();
    one.action = text_at(action, "action");
    one.digital_source_type = text_at(action, "digitalSourceType");
    one.digital_source_type.erase(0, one.digital_source_type.rfind('/') + 1);
    if (const auto agent = action.find("softwareAgent"); agent != action.end()) one.agent = software_of(*agent);
  }
}

/// The content of a superbox that holds CBOR or JSON.
json content_of(Bytes superbox) {
  if (const Bytes cbor = box_body(superbox, "cbor"); !cbor.empty()) return read_cbor(cbor).value_or(json());
  return json();
}

void read_manifest(Bytes manifest, C2paClaim& into) {
  for (const Box& part : boxes_in(manifest)) {
    if (part.type != "jumb") continue;
    const std::string label = label_of(part.body);
    if (label.starts_with("c2pa.claim")) read_claim(content_of(part.body), into);
    if (label != "c2pa.assertions") continue;
    for (const Box& assertion : boxes_in(part.body)) {
      if (assertion.type == "jumb" && label_of(assertion.body).starts_with("c2pa.actions"))
        read_actions(content_of(assertion.body), into);
    }
  }
}

}  // namespace

std::vector<C2paClaim> c2pa_claims(Bytes jumbf) {
  constexpr std::size_t most = 100;
  std::vector<C2paClaim> claims;
  for (const Box& store : boxes_in(jumbf)) {
    if (store.type != "jumb" || label_of(store.body) != "c2pa") continue;
    for (const Box& manifest : boxes_in(store.body)) {
      if (manifest.type != "jumb" || claims.size() == most) continue;
      C2paClaim& claim = claims.emplace_back();
      claim.manifest = label_of(manifest.body);
      read_manifest(manifest.body, claim);
    }
  }
  return claims;
}

}  // namespace lfm
