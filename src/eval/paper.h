// The figures that the paper reports, in per cent (docs/METHOD.md, section 7), for a table to stand beside ours.
#pragma once

#include <span>
#include <string_view>

namespace lfm {

struct PaperFigure {
  std::string_view method;    ///< "LFM", "NPR", …
  std::string_view test_set;  ///< folder name; "" for the mean over all
  std::string_view subset;    ///< folder name; "" for the mean of the test set
  double accuracy = 0;
  double ap = 0;
};

std::span<const PaperFigure> paper_figures();

/// Null where the paper has none. Letter case is ignored in folder names.
const PaperFigure* find_paper_figure(std::string_view method, std::string_view test_set, std::string_view subset);

}  // namespace lfm
