// The table of engines: every row can be asked for by its name, and makes what it promises.
#include "src/engine/registry.h"

#include <string>

#include "lfm/error.h"
#include "tests/catch.h"

namespace lfm {
namespace {

TEST_CASE("EngineRows.AreFoundByTheirNames") {
  for (const EngineRow& row : engine_rows()) {
    const std::string name(row.name);
    CHECK(parse_device(name).kind == row.kind);
    CHECK(&engine_row(row.kind) == &row);
    CHECK(device_names().find(name) != std::string::npos);
    if (row.numbered) {
      CHECK(parse_device(name + ":3").index == 3);
      CHECK(parse_device(name + ":all").all);
    } else {
      CHECK_THROWS_AS(parse_device(name + ":0"), Error);
    }
  }
  CHECK(device_names() == "auto, cpu, cuda, cuda:N, reference or emulated");
}

TEST_CASE("EngineRows.MakeWhatTheyPromise") {
  for (const EngineRow& row : engine_rows()) {
    INFO(row.name);
    CHECK_FALSE(row.training.empty());
    if (!row.missing().empty()) {
      CHECK_THROWS_AS(make_engine({row.kind}), Error);
      continue;
    }
    if (row.kind == DeviceKind::cuda) continue;  // what it infers in depends on the GPU
    CHECK(make_engine({row.kind})->precision(PlanMode::inference) == row.inference().front());
    for (const Precision precision : row.inference()) {
      EngineOptions options;
      options.precision = precision;
      CHECK(make_engine({row.kind}, options)->precision(PlanMode::inference) == precision);
    }
  }
}

}  // namespace
}  // namespace lfm
