// What `evaluate` measured, as text, Markdown, CSV and JSON. Pure functions; writing is the caller's.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "src/eval/evaluation.h"

namespace lfm {

/// Under what circumstances it was measured.
struct EvaluationSetting {
  std::string model;  ///< file
  std::string name;   ///< of the model
  std::string view;   ///< "resize", …; "paper" for the per-set rule
  std::string device;
  double threshold = 0;
  double temperature = 1, bias = 0;  ///< of the calibration in effect
  std::vector<std::string> members;  ///< names of the model's, where it has several
  int resamples = 0;
  std::uint64_t seed = 0;
};

struct EvaluationReport {
  EvaluationSetting setting;
  TestData data;
  std::vector<Condition> conditions;
  std::size_t failed = 0;           ///< files that could not be scored in any condition
  std::size_t without_texture = 0;  ///< scored, of Doubt::no_texture; they are counted as they score
  bool compare = false;             ///< with the paper's figures
};

/// A table a condition, then the conditions' means side by side.
std::string evaluation_text(const EvaluationReport& report);
std::string evaluation_markdown(const EvaluationReport& report);
/// The tables alone, to stand inside a page.
std::string evaluation_html(const EvaluationReport& report);
/// The conditions' means side by side, alone.
std::string evaluation_means_text(const EvaluationReport& report);

/// A line a condition and sub-dataset, then the means ("mean" as sub-dataset; without a test set, over all). Shares in
/// 0 … 1.
std::string evaluation_csv(const EvaluationReport& report);

/// A line a picture and condition that it could be delivered in:
/// condition,test_set,subset,label,path,logit,score,doubt, and for each of several members its logit, member_1, ….
std::string scores_csv(const EvaluationReport& report, std::span<const ScoredFile> files);

/// {"model", "view", "threshold", …, "conditions": [{"name", "subsets": […], "test_sets": […], "mean": {…}}]}; what
/// could not be measured is null.
nlohmann::json evaluation_json(const EvaluationReport& report);

}  // namespace lfm
