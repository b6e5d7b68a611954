#include "src/model/front_end.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "lfm/words.h"
#include "src/model/residual.h"

namespace lfm {

namespace {

constexpr std::string_view kNprInFiles = "npr-nearest-2";  // since the first of them

constexpr auto kFrontEnds = [] {
  constexpr auto named = words(FrontEnd{});
  std::array<FrontEndRow, named.size()> rows{};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Word<FrontEnd> name = named[i];
    rows[i] = with_residual(name.value, [&](auto functor) {
      using Residual = decltype(functor);
      return FrontEndRow{name.value, name.value == FrontEnd::npr ? kNprInFiles : name.word, Residual::kCell,
                         Residual::kReach, Residual::kGain};
    });
  }
  return rows;
}();

}  // namespace

std::span<const FrontEndRow> front_ends() { return kFrontEnds; }

const FrontEndRow& front_end_row(FrontEnd kind) { return *std::ranges::find(kFrontEnds, kind, &FrontEndRow::kind); }

std::optional<FrontEnd> front_end_from_word(std::string_view word) {
  const auto found = std::ranges::find(kFrontEnds, word, &FrontEndRow::word);
  if (found == kFrontEnds.end()) return std::nullopt;
  return found->kind;
}

}  // namespace lfm
