#include "src/machine/cores.h"

#include "tests/catch.h"
#include "tests/machine/bound_to_one_core.h"

namespace lfm {
namespace {

TEST_CASE("Cores.AreThoseThatTheProcessMayUse") {
  const int before = usable_cores();
  {
    const test::BoundToOneCore bound;
    CHECK(before == bound.cores_before());
    CHECK(usable_cores() == 1);
  }
  CHECK(usable_cores() == before);
}

}  // namespace
}  // namespace lfm
