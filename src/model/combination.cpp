#include "src/model/combination.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "lfm/error.h"

namespace lfm {
namespace {

Combined largest(std::span<const float> margins) {
  const auto found = std::ranges::max_element(margins);
  return {*found, static_cast<std::size_t>(found - margins.begin())};
}

Combined first_fake(std::span<const float> margins) {
  const auto found = std::ranges::find_if(margins, [](float margin) { return margin > 0; });
  const auto index = found == margins.end() ? margins.size() - 1 : static_cast<std::size_t>(found - margins.begin());
  return {margins[index], index};
}

/// The member that decided is the one furthest on the side that won.
Combined mean(std::span<const float> margins) {
  double sum = 0;
  for (const float margin : margins) sum += margin;
  const double value = sum / static_cast<double>(margins.size());
  const auto furthest = value > 0 ? std::ranges::max_element(margins) : std::ranges::min_element(margins);
  return {static_cast<float>(value), static_cast<std::size_t>(furthest - margins.begin())};
}

constexpr std::array kCombinations = {
    CombinationSpec{Combination::first_fake, first_fake},
    CombinationSpec{Combination::mean, mean},
    CombinationSpec{Combination::max, largest},
};

/// Log-odds, of 0 and 1 those of the nearest floats between.
double log_odds(double share) {
  constexpr double least = 1e-7;
  const double inside = std::clamp(share, least, 1 - least);
  return std::log(inside) - std::log1p(-inside);
}

}  // namespace

std::span<const CombinationSpec> combinations() { return kCombinations; }

const CombinationSpec& combination_spec(Combination combination) {
  return kCombinations.at(static_cast<std::size_t>(combination));
}

float margin(const Model& member, float logit) {
  const double odds = static_cast<double>(logit) / member.calibration.temperature + member.calibration.bias;
  return static_cast<float>(odds - log_odds(member.threshold));
}

Combined combine(const Model& model, std::span<const float> logits) {
  std::vector<float> margins;
  for (std::size_t i = 0; i < logits.size(); ++i) margins.push_back(margin(model.members[i], logits[i]));
  return combination_spec(model.combination).combine(margins);
}

std::span<const Model> members_of(const Model& model) {
  return model.members.empty() ? std::span(&model, 1) : std::span(model.members);
}

void set_combination(Model& model, Combination combination) {
  if (model.combination == combination) return;
  model.combination = combination;
  model.calibration = {};
  model.threshold = Model{}.threshold;
  model.thresholds = {};
}

std::string member_name(const Model& model, std::size_t index) {
  const std::string& name = members_of(model)[index].name;
  return name.empty() ? fmt::format("member {}", index + 1) : name;
}

const Model& one_network(const Model& model, const std::string& source) {
  if (model.members.empty()) return model;
  std::string names;
  for (std::size_t i = 0; i < model.members.size(); ++i) {
    names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", i + 1, member_name(model, i));
  }
  throw Error(ErrorCode::usage,
              fmt::format("{}: holds {} networks, and one is wanted here: {}; take one out with lfm-cuda convert "
                          "--member N {} ONE.lfmw",
                          source, model.members.size(), names, source));
}

Model join_models(std::vector<Model> models, Combination combination) {
  Model joined;
  joined.combination = combination;
  for (Model& model : models) {
    if (model.members.empty()) {
      joined.members.push_back(std::move(model));
    } else {
      for (Model& member : model.members) joined.members.push_back(std::move(member));
    }
  }
  if (joined.members.size() < 2 || joined.members.size() > kMostMembers) {
    throw Error(ErrorCode::usage,
                fmt::format("a model has 2 to {} members, not {}", kMostMembers, joined.members.size()));
  }
  joined.view = joined.members[0].view;
  for (std::size_t i = 0; i < joined.members.size(); ++i) {
    joined.name += fmt::format("{}{}", i == 0 ? "" : "+", member_name(joined, i));
  }
  return joined;
}

}  // namespace lfm
