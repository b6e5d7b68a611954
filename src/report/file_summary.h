// What the parts of one file, frames of a film or pages, come to.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/report/detections.h"

namespace lfm {

/// Of the parts in order. It has no verdict of its own: a film may be real but for one scene.
struct FileSummary {
  std::filesystem::path path;
  std::size_t real = 0, fake = 0, unsure = 0, failed = 0;
  float lowest = 0, median = 0, highest = 0;  ///< of the scores
  std::size_t parts() const { return real + fake + unsure + failed; }
};

/// A record of its own:
///   JSON: {"path","parts","real","fake","unsure","failed","lowest","median","highest"}, without the scores where none
///   was scored CSV:  path, the median as score, and in words under `part`
std::string summary_record(OutputFormat format, const FileSummary& summary, bool first, bool with_spread);

/// Adds up the detections of a stream, whose parts of one file follow one another.
class SummaryMaker {
 public:
  /// The summary of the file before, where this detection isn't of it and that had parts.
  std::optional<FileSummary> add(const Detection& detection);
  /// Of the last file.
  std::optional<FileSummary> finish();

 private:
  FileSummary summary_;
  std::vector<float> scores_;
};

}  // namespace lfm
