// Whether two runs went the same way.
#pragma once

#include <filesystem>

#include "src/model/weight_file.h"
#include "src/train/run_state.h"
#include "tests/catch.h"

namespace lfm::test {

/// Bit for bit: weights, moments, best model.
inline void expect_equal_runs(const std::filesystem::path& a, const std::filesystem::path& b) {
  const SavedRun first = load_run(a / "last.lfmw"), second = load_run(b / "last.lfmw");
  CHECK(first.state.step == second.state.step);
  CHECK_MESSAGE(first.model.values == second.model.values, "the weights differ");
  CHECK_MESSAGE((first.m == second.m && first.v == second.v), "the moments differ");
  CHECK_MESSAGE(load_model(a / "best.lfmw").values == load_model(b / "best.lfmw").values, "the best models differ");
}

}  // namespace lfm::test
