// A report as one HTML file that needs nothing else and asks no network: figures, charts, the model's provenance and
// limits, and every picture with its score and what it comes from. Whatever comes from files or file names is escaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lfm/detector.h"
#include "lfm/model.h"
#include "src/report/evaluation.h"

namespace lfm {

/// Longer side of the pictures' thumbnails (DetectorOptions::thumbnails).
inline constexpr int kThumbnailSide = 160;

class ReportPage {
 public:
  /// with_spread: the pictures' scores are of several deliveries, and how far they lie apart is to be shown.
  explicit ReportPage(bool with_spread) : with_spread_(with_spread) {}

  /// label: 1 = fake, where it is known; group: the sub-dataset, or "".
  void add(const Detection& detection, std::optional<std::uint8_t> label = {}, const std::string& group = {});

  std::size_t pictures() const { return records_.size(); }

  /// The page's text. evaluation: its tables and curves, of what was added with labels.
  std::string html(const std::string& title, const std::vector<std::filesystem::path>& model_files, const Model& model,
                   View view, float threshold, const EvaluationReport* evaluation = nullptr) const;

 private:
  std::string charts(const EvaluationReport* evaluation) const;

  bool with_spread_;
  std::vector<std::string> records_;  ///< of page.js, JSON
  // Of the scored pictures:
  std::vector<float> logits_, scores_;
  std::vector<std::uint8_t> labels_;     ///< empty, or as many as scores
  std::size_t verdicts_[3] = {0, 0, 0};  ///< real, fake, unsure
  std::size_t failed_ = 0;
};

}  // namespace lfm
