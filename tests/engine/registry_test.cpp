// The table of engines: every row can be asked for by its name, and makes what it promises.
#include "src/engine/registry.h"

#include <gtest/gtest.h>

#include <string>

#include "lfm/error.h"

namespace lfm {
namespace {

TEST(EngineRows, AreFoundByTheirNames) {
  for (const EngineRow& row : engine_rows()) {
    const std::string name(row.name);
    EXPECT_EQ(parse_device(name).kind, row.kind);
    EXPECT_EQ(&engine_row(row.kind), &row);
    EXPECT_NE(device_names().find(name), std::string::npos);
    if (row.numbered) {
      EXPECT_EQ(parse_device(name + ":3").index, 3);
      EXPECT_TRUE(parse_device(name + ":all").all);
    } else {
      EXPECT_THROW(parse_device(name + ":0"), Error);
    }
  }
  EXPECT_EQ(device_names(), "auto, cpu, cuda, cuda:N, reference or emulated");
}

TEST(EngineRows, MakeWhatTheyPromise) {
  for (const EngineRow& row : engine_rows()) {
    SCOPED_TRACE(row.name);
    EXPECT_FALSE(row.training.empty());
    if (!row.missing().empty()) {
      EXPECT_THROW(make_engine({row.kind}), Error);
      continue;
    }
    if (row.kind == DeviceKind::cuda) continue;  // what it infers in depends on the GPU
    EXPECT_EQ(make_engine({row.kind})->precision(PlanMode::inference), row.inference().front());
    for (const Precision precision : row.inference()) {
      EngineOptions options;
      options.precision = precision;
      EXPECT_EQ(make_engine({row.kind}, options)->precision(PlanMode::inference), precision);
    }
  }
}

}  // namespace
}  // namespace lfm
