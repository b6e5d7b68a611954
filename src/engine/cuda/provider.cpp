#include "src/engine/cuda/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "lfm/error.h"

namespace lfm {

namespace {

/// The first block's pixels become its residual on the way: no library has that.
bool is_convolution(const Stage& stage) { return stage.kind == StageKind::block && stage.block > 0; }
bool is_product(const Stage& stage) {
  return is_convolution(stage) || stage.kind == StageKind::projection || stage.kind == StageKind::head;
}

constexpr std::array kProviders = {
    ProviderRow{Provider::own, "own", "ours", [](const Stage&) { return true; }},
    ProviderRow{Provider::cudnn, "cudnn", "cuDNN", is_convolution},
    ProviderRow{Provider::cublas, "cublas", "cuBLAS", is_product},
};

const ProviderRow& row_of(Provider provider) {
  return *std::ranges::find(kProviders, provider, &ProviderRow::provider);
}

/// "block3" of "block 3".
std::string word_of_stage(const Stage& stage) {
  std::string word(stage.name);
  std::erase(word, ' ');
  return word;
}

std::string stages_of(const ProviderRow& row) {
  std::vector<std::string> words;
  for (const Stage& stage : kStages) {
    if (row.computes(stage)) words.push_back(word_of_stage(stage));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

const ProviderRow& parse_provider(std::string_view word) {
  const auto found = std::ranges::find(kProviders, word, &ProviderRow::word);
  if (found != kProviders.end()) return *found;
  throw Error(ErrorCode::usage,
              fmt::format("--kernels: there are no kernels '{}'; there are own, cudnn and cublas, for "
                          "all stages, or a stage each: block3=cudnn,projection=cublas",
                          word));
}

const Stage& parse_stage(std::string_view word) {
  const auto found = std::ranges::find(kStages, word, word_of_stage);
  if (found != kStages.end()) return *found;
  throw Error(ErrorCode::usage, fmt::format("--kernels: there is no stage '{}'; those that a library computes are {}",
                                            word, stages_of(row_of(Provider::cublas))));
}

}  // namespace

std::span<const ProviderRow> provider_rows() { return kProviders; }
std::string_view provider_name(Provider provider) { return row_of(provider).name; }

bool Providers::uses(Provider provider) const { return std::ranges::find(of, provider) != of.end(); }
bool Providers::all_own() const {
  return std::ranges::all_of(of, [](Provider provider) { return provider == Provider::own; });
}

Providers everywhere(Provider provider) {
  Providers chosen;
  for (const Stage& stage : kStages) {
    if (row_of(provider).computes(stage)) chosen.of[static_cast<std::size_t>(stage.index)] = provider;
  }
  return chosen;
}

Providers parse_providers(std::string_view text) {
  if (text.find('=') == std::string_view::npos) return everywhere(parse_provider(text).provider);
  Providers chosen;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t sign = std::min(part.find('='), part.size());
    const Stage& stage = parse_stage(part.substr(0, sign));
    const ProviderRow& row = parse_provider(part.substr(std::min(sign + 1, part.size())));
    if (!row.computes(stage)) {
      throw Error(ErrorCode::usage, fmt::format("--kernels {}: {} has nothing that computes {}; it computes {}", part,
                                                row.name, stage.name, stages_of(row)));
    }
    chosen.of[static_cast<std::size_t>(stage.index)] = row.provider;
  }
  return chosen;
}

std::string description_of(const Providers& providers) {
  std::vector<std::string> parts;
  for (const Stage& stage : kStages) {
    const Provider provider = providers[stage];
    if (provider != Provider::own) parts.push_back(fmt::format("{} by {}", stage.name, provider_name(provider)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

const char* range_name(const Stage& stage, Provider provider) {
  if (provider == Provider::own) return stage.name;
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Stage& any : kStages) {
      for (const ProviderRow& row : kProviders) all.push_back(fmt::format("{}, {}", any.name, row.name));
    }
    return all;
  }();
  return names[static_cast<std::size_t>(stage.index) * kProviders.size() + static_cast<std::size_t>(provider)].c_str();
}

}  // namespace lfm
