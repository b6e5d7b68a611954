// Whether two runs went the same way.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "src/model/weight_file.h"
#include "src/train/run_state.h"

namespace lfm::test {

/// Bit for bit: weights, moments, best model.
inline void expect_equal_runs(const std::filesystem::path& a, const std::filesystem::path& b) {
  const SavedRun first = load_run(a / "last.lfmw"), second = load_run(b / "last.lfmw");
  EXPECT_EQ(first.state.step, second.state.step);
  EXPECT_TRUE(first.model.values == second.model.values) << "the weights differ";
  EXPECT_TRUE(first.m == second.m && first.v == second.v) << "the moments differ";
  EXPECT_TRUE(load_model(a / "best.lfmw").values == load_model(b / "best.lfmw").values) << "the best models differ";
}

}  // namespace lfm::test
