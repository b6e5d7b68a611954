// Whose kernels compute the stages of inference on a GPU: the engine's own, or a library's. A library is a row of a
// table; what it computes is chosen stage by stage, by names alone: nothing is opened here.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "src/model/stages.h"

namespace lfm {

enum class Provider { own, cudnn, cublas };

struct ProviderRow {
  Provider provider;
  std::string_view word;  ///< as --kernels takes it
  std::string_view name;  ///< for people
  bool (*computes)(const Stage&);
};
std::span<const ProviderRow> provider_rows();
std::string_view provider_name(Provider provider);

/// A provider for each stage of SNet, by its index; those of the ResNet trunk are the engine's own always.
struct Providers {
  std::array<Provider, std::max(kStages.size(), kResnetStages.size())> of{};

  Provider operator[](const Stage& stage) const { return of[static_cast<std::size_t>(stage.index)]; }
  Provider block(int b) const { return (*this)[block_stage(b)]; }
  Provider projection() const { return (*this)[stage_of(StageKind::projection)]; }
  Provider head() const { return (*this)[stage_of(StageKind::head)]; }
  bool uses(Provider provider) const;
  bool all_own() const;
  bool operator==(const Providers&) const = default;
};

/// "own", "cudnn", "cublas": every stage that the provider computes; "block3=cudnn,projection=cublas": these, later
/// ones over earlier. Throws Error{usage} with what there is.
Providers parse_providers(std::string_view text);

/// The provider of every stage that it computes, the others' own.
Providers everywhere(Provider provider);

/// "block 3 by cuDNN, projection by cuBLAS"; empty where all are the engine's own.
std::string description_of(const Providers& providers);

/// The stage's name in profiles, with the library's where it is a library's: "block 3, cuDNN".
const char* range_name(const Stage& stage, Provider provider);

}  // namespace lfm
