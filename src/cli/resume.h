// detect --resume: what a run shares with the one it goes on with, and which inputs are left.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "lfm/detector.h"
#include "src/cli/detector_options.h"
#include "src/report/resumable_file.h"

namespace lfm {

/// Everything that records depend on beside the picture. Two runs whose settings are equal give the same records, but
/// for the last digits of scores where the machines differ.
nlohmann::json resume_settings(const ChosenModel& model, const DetectorOptions& options, const Detector& detector);

/// What another source gives, less the paths that have a record.
class RemainingSource : public InputSource {
 public:
  RemainingSource(InputSource& inputs, ResumableFile& file) : inputs_(inputs), file_(file) {}

  std::optional<Input> next() override {
    std::optional<Input> input = inputs_.next();
    while (input && file_.take(input->path)) input = inputs_.next();
    return input;
  }
  bool starved() const override { return inputs_.starved(); }
  void cancel() override { inputs_.cancel(); }

 private:
  InputSource& inputs_;
  ResumableFile& file_;
};

}  // namespace lfm
