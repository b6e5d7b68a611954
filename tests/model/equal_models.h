// Whether a model that was written and read is the same.
#pragma once

#include <nlohmann/json.hpp>

#include "lfm/model.h"
#include "src/model/weight_file.h"
#include "tests/catch.h"

namespace lfm::test {

inline void check_equal(const Model& a, const Model& b) {
  CHECK(a.architecture == b.architecture);
  CHECK(a.values == b.values);
  CHECK(a.view == b.view);
  CHECK(a.threshold == b.threshold);
  CHECK(a.calibration.temperature == b.calibration.temperature);
  CHECK(a.calibration.bias == b.calibration.bias);
  CHECK(a.name == b.name);
  CHECK(nlohmann::json::parse(a.provenance) == nlohmann::json::parse(b.provenance));
  CHECK_MESSAGE(model_header(a) == model_header(b), "its table of thresholds too");
}

}  // namespace lfm::test
