#include "src/report/measurement.h"

#include <nlohmann/json.hpp>

#include "tests/catch.h"

namespace lfm {
namespace {

TEST_CASE("Measurement.PercentilesAreSamples") {
  const Spread ten = spread_of({10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  CHECK(ten.median == 5);
  CHECK(ten.p10 == 1);
  CHECK(ten.p90 == 9);
  CHECK(ten.least == 1);
  CHECK(ten.samples == 10);
  const Spread one = spread_of({3});
  CHECK(one.median == 3);
  CHECK(one.p10 == 3);
  CHECK(one.p90 == 3);
  CHECK(spread_of({2, 1}).median == 1);
}

TEST_CASE("Measurement.JsonHasWhatApplies") {
  BenchReport report{.mode = "kernels",
                     .device = "a GPU",
                     .clock = "device events",
                     .data_sheet = "H200 SXM",
                     .rows = {},
                     .notes = {"a note"}};
  Measurement timed{
      .part = "layer", .operation = "block 2", .variant = "", .precision = "fp16", .batch = 2, .size = 48};
  timed.milliseconds = spread_of({1, 2, 3});
  timed.share = 0.5;
  Measurement failed{
      .part = "inference kernel", .operation = "conv2x2, block 2", .variant = "cuDNN, bf16", .precision = "bf16"};
  failed.error = "not supported";
  report.rows = {timed, failed};
  const auto json = nlohmann::json::parse(bench_json(report));
  CHECK(json["schema"] == kBenchSchema);
  CHECK(json["data_sheet"] == "H200 SXM");
  CHECK(json["notes"][0] == "a note");
  CHECK_FALSE(json.contains("warm_up"));
  REQUIRE(json["rows"].size() == 2u);
  const auto &first = json["rows"][0], &second = json["rows"][1];
  CHECK(first["milliseconds"]["median"] == 2.0);
  CHECK(first["samples"] == 3);
  CHECK(first["share"] == 0.5);
  CHECK_FALSE(first.contains("variant"));
  CHECK_FALSE(first.contains("images_per_second"));
  CHECK(second["error"] == "not supported");
  CHECK_FALSE(second.contains("milliseconds"));
}

}  // namespace
}  // namespace lfm
