// Models of several members: networks that each judge a picture, and the rule that makes one answer of theirs.
//
// A member's margin is its log-odds of fake less those of its own threshold,
//
//   logit / temperature + bias - log(threshold / (1 - threshold)),
//
// above 0 where it alone would call the picture fake. Margins of members with other architectures and other scales of
// logits can be compared, their logits can't. The rule makes one margin of theirs, which is the model's logit; the
// model's own calibration and threshold, fitted to it, take it from there. Joined anew they are the identity and 0.5.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lfm/model.h"

namespace lfm {

struct Combined {
  float logit = 0;
  std::size_t decided_by = 0;  ///< the member that spoke for it most, or alone
};

/// A rule; its word is in lfm/words.h.
struct CombinationSpec {
  Combination combination;
  Combined (*combine)(std::span<const float> margins);
};

/// In the order of the enum.
std::span<const CombinationSpec> combinations();
const CombinationSpec& combination_spec(Combination combination);

float margin(const Model& member, float logit);

/// The margins of the members' logits under the model's rule, which has members.
Combined combine(const Model& model, std::span<const float> logits);

/// The networks of a model: its members, or itself.
std::span<const Model> members_of(const Model& model);

/// Another rule for a model with members. Calibration, threshold and table were fitted to the old one's logits, and are
/// lost.
void set_combination(Model& model, Combination combination);

/// A name for people: the member's own, or "member N" of the model.
std::string member_name(const Model& model, std::size_t index);

/// One network: the model itself, where it has no members. Throws Error{usage} naming `source` and the remedy.
const Model& one_network(const Model& model, const std::string& source);

}  // namespace lfm
