#include "src/model/front_end.h"

#include <algorithm>
#include <array>

namespace lfm {

namespace {

constexpr std::array kFrontEnds = {
    FrontEndRow{FrontEnd::npr, "npr-nearest-2", 2},
};

}  // namespace

std::span<const FrontEndRow> front_ends() { return kFrontEnds; }

const FrontEndRow& front_end(const Architecture& architecture) {
  return *std::ranges::find(kFrontEnds, architecture.front_end, &FrontEndRow::kind);
}

std::optional<FrontEnd> front_end_from_word(std::string_view word) {
  const auto found = std::ranges::find(kFrontEnds, word, &FrontEndRow::word);
  if (found == kFrontEnds.end()) return std::nullopt;
  return found->kind;
}

}  // namespace lfm
