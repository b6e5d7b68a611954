#include "src/report/measurement.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lfm {
namespace {

TEST(Measurement, PercentilesAreSamples) {
  const Spread ten = spread_of({10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  EXPECT_EQ(ten.median, 5);
  EXPECT_EQ(ten.p10, 1);
  EXPECT_EQ(ten.p90, 9);
  EXPECT_EQ(ten.least, 1);
  EXPECT_EQ(ten.samples, 10);
  const Spread one = spread_of({3});
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.p10, 3);
  EXPECT_EQ(one.p90, 3);
  EXPECT_EQ(spread_of({2, 1}).median, 1);
}

TEST(Measurement, JsonHasWhatApplies) {
  BenchReport report{.mode = "kernels", .device = "a GPU", .clock = "device events", .data_sheet = "H200 SXM", .rows = {}, .notes = {"a note"}};
  Measurement timed{.part = "layer", .operation = "block 2", .variant = "", .precision = "fp16", .batch = 2, .size = 48};
  timed.milliseconds = spread_of({1, 2, 3});
  timed.share = 0.5;
  Measurement failed{.part = "inference kernel", .operation = "conv2x2, block 2", .variant = "cuDNN, bf16", .precision = "bf16"};
  failed.error = "not supported";
  report.rows = {timed, failed};
  const auto json = nlohmann::json::parse(bench_json(report));
  EXPECT_EQ(json["schema"], kBenchSchema);
  EXPECT_EQ(json["data_sheet"], "H200 SXM");
  EXPECT_EQ(json["notes"][0], "a note");
  EXPECT_FALSE(json.contains("warm_up"));
  ASSERT_EQ(json["rows"].size(), 2u);
  const auto &first = json["rows"][0], &second = json["rows"][1];
  EXPECT_EQ(first["milliseconds"]["median"], 2.0);
  EXPECT_EQ(first["samples"], 3);
  EXPECT_EQ(first["share"], 0.5);
  EXPECT_FALSE(first.contains("variant"));
  EXPECT_FALSE(first.contains("images_per_second"));
  EXPECT_EQ(second["error"], "not supported");
  EXPECT_FALSE(second.contains("milliseconds"));
}

}  // namespace
}  // namespace lfm
