// A run's curves as one HTML file that needs nothing else: inline SVG, light or dark as the reader's system is, no
// script, no network.
#pragma once

#include <filesystem>
#include <string>

#include "src/train/options.h"
#include "src/train/run_log.h"

namespace lfm {

struct CurvesPage {
  std::string title;
  std::string status;    ///< "running", "finished", "stopped early", "interrupted", …
  bool running = false;  ///< the page then reloads itself every 20 seconds
  std::uint64_t steps_per_epoch = 1;
};

/// The page's text.
std::string curves_html(const CurvesPage& page, const TrainOptions& options, const RunLog& log);

/// Writes it atomically. Throws Error{output}.
void write_curves(const std::filesystem::path& path, const CurvesPage& page, const TrainOptions& options,
                  const RunLog& log);

}  // namespace lfm
